package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type statusAnswer struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// judgeStatus takes an object, and gives what kstatus (and so Flux, kpt and others) computes from it.
func judgeStatus(line []byte) (any, error) {
	object := &unstructured.Unstructured{}
	// Decodes numbers as clients of Kubernetes do: kstatus reads only int64.
	if err := object.UnmarshalJSON(line); err != nil {
		return nil, fmt.Errorf("not an object: %w", err)
	}
	result, err := status.Compute(object)
	if err != nil {
		return nil, fmt.Errorf("kstatus: %w", err)
	}
	return statusAnswer{Status: result.Status.String(), Message: result.Message}, nil
}

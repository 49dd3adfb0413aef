package main

import (
	"encoding/json"
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

type rulesAnswer struct {
	Errors []string `json:"errors"`
	Rules  int      `json:"rules"`
}

// parseRules takes the text of a rule file, a JSON string, and checks it as Prometheus does when it loads one:
// expressions, durations, labels and templates.
func parseRules(line []byte) (any, error) {
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		return nil, fmt.Errorf("not the text of a rule file: %w", err)
	}
	answer := rulesAnswer{Errors: []string{}}
	groups, errs := rulefmt.Parse([]byte(text), false, model.LegacyValidation)
	for _, err := range errs {
		answer.Errors = append(answer.Errors, err.Error())
	}
	if groups != nil {
		for _, group := range groups.Groups {
			answer.Rules += len(group.Rules)
		}
	}
	return answer, nil
}

type selector struct {
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

type expressionAnswer struct {
	Error     string     `json:"error,omitempty"`
	Selectors []selector `json:"selectors"`
	// The labels that aggregations and vector matching name.
	Grouping []string `json:"grouping"`
}

// parseExpression takes an expression, a JSON string, and gives the metrics and labels that it names.
func parseExpression(line []byte) (any, error) {
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		return nil, fmt.Errorf("not an expression: %w", err)
	}
	answer := expressionAnswer{Selectors: []selector{}, Grouping: []string{}}
	expression, err := parser.ParseExpr(text)
	if err != nil {
		answer.Error = err.Error()
		return answer, nil
	}
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			found := selector{Metric: node.Name, Labels: []string{}}
			for _, matcher := range node.LabelMatchers {
				if matcher.Name != labels.MetricName {
					found.Labels = append(found.Labels, matcher.Name)
				}
			}
			answer.Selectors = append(answer.Selectors, found)
		case *parser.AggregateExpr:
			answer.Grouping = append(answer.Grouping, node.Grouping...)
		case *parser.BinaryExpr:
			if node.VectorMatching != nil {
				answer.Grouping = append(answer.Grouping, node.VectorMatching.MatchingLabels...)
			}
		}
		return nil
	})
	return answer, nil
}

/** Triton's own Python client of the Open Inference Protocol. */
export const TRITONCLIENT = ["tritonclient[http,grpc]==2.73.0"] as const;

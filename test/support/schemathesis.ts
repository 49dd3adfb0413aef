/** Makes requests of an OpenAPI document, and checks the answers against it. A seed makes the same requests in the same versions. */
export const SCHEMATHESIS = ["schemathesis==4.32.5", "hypothesis==6.170.17"] as const;

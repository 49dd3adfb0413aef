import type { CelRule } from "../cel.ts";

/** Where the server of a pod listens, each unless the spec sets another port. */
export const defaultPorts = { http: 8080, grpc: 9000, metrics: 9090 } as const;

const hasGrpc = "has(self.service) && has(self.service.grpcPort)";

/** A port of `spec.server`, also where a client leaves out what has a default. */
function serverPort(field: "port" | "grpcPort", otherwise: number): string {
  return `(has(self.server) && has(self.server.${field}) ? self.server.${field} : ${otherwise})`;
}
const httpPort = serverPort("port", defaultPorts.http);
const grpcPort = serverPort("grpcPort", defaultPorts.grpc);

function hasVariable(name: string): string {
  return `has(self.env) && self.env.exists(variable, variable.name == '${name}')`;
}
/** Whether METRICS_PORT in `env` is the port for gRPC. No rule can read a value that comes from elsewhere. */
const isGrpcMetricsPort = `self.env.exists(variable, variable.name == 'METRICS_PORT' && has(variable.value) && variable.value == string(${grpcPort}))`;

/** Rules of the spec about the ports of the server container. */
export const portRules: readonly CelRule[] = [
  {
    rule: `!(has(self.server) && has(self.server.grpcPort)) || (${hasGrpc})`,
    message: "server.grpcPort needs service.grpcPort: set it, or remove server.grpcPort",
    fieldPath: ".server.grpcPort",
  },
  {
    rule: `!(${hasGrpc}) || ${grpcPort} != ${httpPort}`,
    message: `the server needs different ports for gRPC and HTTP: set server.grpcPort (${defaultPorts.grpc} unless set) to another port than server.port (${defaultPorts.http} unless set)`,
  },
  {
    rule: `!(${hasGrpc}) || (${hasVariable("METRICS_PORT")} ? !${isGrpcMetricsPort} : ${grpcPort} != ${defaultPorts.metrics})`,
    message: `the server needs different ports for gRPC and metrics: set server.grpcPort (${defaultPorts.grpc} unless set) to another port than METRICS_PORT in env (${defaultPorts.metrics} unless set)`,
  },
  {
    rule: `!(${hasGrpc}) || !(${hasVariable("GRPC_PORT")})`,
    message: `service.grpcPort sets GRPC_PORT: remove it from env, and set server.grpcPort if the server listens on another port than ${defaultPorts.grpc}`,
    fieldPath: ".env",
  },
];

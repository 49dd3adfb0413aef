import { describe, expect, it } from "vitest";

import type { V1Service } from "../../kube/types.ts";
import { aiapp } from "../observed.testing.ts";
import { buildService, urlOf } from "./service.ts";

/** As a load balancer reports its address. */
const at = (ingress: object): V1Service => ({ status: { loadBalancer: { ingress: [ingress] } } });

const http = { name: "http", port: 80, targetPort: "http", protocol: "TCP" } as const;

describe("the ports of the Service", () => {
  it("are one for HTTP, unless the spec asks for another one", () => {
    expect(buildService(aiapp(), "stable").spec?.ports).toEqual([http]);
    const env = [{ name: "GRPC_PORT", value: "9000" }];
    expect(buildService(aiapp({ env }), "stable").spec?.ports).toEqual([http]);
  });

  it.each(["stable", "candidate", "both"] as const)(
    "are a second one for gRPC, as HTTP/2 without TLS, whichever pods it selects (%s)",
    (selects) => {
      const app = aiapp({ service: { grpcPort: 9001 }, server: { grpcPort: 8001 } });
      expect(buildService(app, selects).spec?.ports).toEqual([
        http,
        {
          name: "grpc",
          port: 9001,
          targetPort: "grpc",
          protocol: "TCP",
          appProtocol: "kubernetes.io/h2c",
        },
      ]);
    },
  );
});

describe("where an app serves", () => {
  it("is the load balancer's address, with the port unless it is that of http", () => {
    expect(urlOf(aiapp(), at({ ip: "10.0.0.1" }))).toBe("http://10.0.0.1");
    const other = aiapp({ service: { port: 8080 } });
    expect(urlOf(other, at({ ip: "10.0.0.1" }))).toBe("http://10.0.0.1:8080");
    expect(urlOf(other, at({ ip: "fd00::1" }))).toBe("http://[fd00::1]:8080");
    expect(urlOf(aiapp(), at({ hostname: "lb.example.com" }))).toBe("http://lb.example.com");
  });

  it("is the host of the spec, once there is a load balancer", () => {
    const named = aiapp({ service: { host: "cats.example.com" } });
    expect(urlOf(named, at({ ip: "10.0.0.1" }))).toBe("http://cats.example.com");
    expect(urlOf(named, {})).toBeUndefined();
  });

  it("is the Service's name in the cluster without a load balancer", () => {
    const inside = aiapp({ service: { type: "ClusterIP", port: 81, grpcPort: 9000 } });
    expect(urlOf(inside, {})).toBe("http://cats.shop.svc:81");
    expect(urlOf(inside, undefined)).toBeUndefined();
  });
});

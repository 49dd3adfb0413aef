import { ManualClock } from "../../clock.testing.ts";
import { describeKube } from "../contract.testing.ts";
import { createFakeKube } from "./fake.testing.ts";

describeKube("the fake Kubernetes API", async () => {
  const kube = createFakeKube({ clock: new ManualClock(), namespaces: ["one", "two"] });
  return {
    kube,
    namespace: "one",
    otherNamespace: "two",
    forget: async () => kube.compact(),
    close: async () => {},
  };
});

import { ManualClock } from "../../clock.testing.ts";
import { describeKube } from "../contract/contract.testing.ts";
import { createFakeKube } from "./fake.testing.ts";

describeKube("the fake Kubernetes API", async () => {
  const kube = createFakeKube({ clock: new ManualClock(), namespaces: ["one", "two"] });
  return {
    kube,
    forget: async () => kube.compact(),
    close: async () => {},
  };
});

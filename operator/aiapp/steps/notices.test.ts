import { describe, expect, it } from "vitest";

import { annotations } from "../../../crds/names.ts";
import { ReleaseEvent } from "../../../crds/notification.ts";
import { requestFor } from "../../notify/request.ts";
import { conditionsOf, digestOf, World, type SpecInput } from "../observed.testing.ts";

const notifications: SpecInput["notifications"] = [{ name: "chat", type: "Slack", secret: "chat" }];
const HOUR_MS = 3_600_000;

/** Webhooks that take nothing. */
function refusing(world: World): World {
  world.deliveries = { isDelivered: () => false, failing: [] };
  return world;
}

/** Release 1 serves, nothing has still to be sent, and from now on webhooks take nothing. */
function released(spec: SpecInput = {}): World {
  return refusing(new World({ verify: {}, notifications, ...spec }).poll().converge());
}

function publish(on: World, version: string): World {
  on.publish({ version, model: digestOf(`model ${version}`) });
  return on.poll();
}

function idOf(on: World, version: string): string {
  return on.record(({ modelVersion }) => modelVersion === version).id;
}

/** The event that is due for the only webhook. */
function due(on: World): ReleaseEvent {
  const [first, ...others] = on.plan().deliveries;
  if (first === undefined || others.length > 0) throw new Error("not one event is due");
  return ReleaseEvent.parse(first.event);
}

function phasesDue(on: World): readonly string[] {
  return on.plan().deliveries.map(({ target, event }) => `${target.name} ${event.data.phase}`);
}

/** Each line of what a channel shows. */
function slackLines(notice: ReleaseEvent): readonly string[] {
  const { body } = requestFor("Slack", notice, new URL("https://hooks.example.com"), undefined);
  const { blocks } = JSON.parse(body) as {
    blocks: { text?: { text: string }; elements?: { text: string }[] }[];
  };
  return blocks.flatMap(({ text, elements = [] }) => [
    ...(text === undefined ? [] : [text.text]),
    ...elements.map((element) => element.text),
  ]);
}

describe("a notification", () => {
  it("of a release says what changed", () => {
    const on = released();
    const before = idOf(on, "1");
    publish(on, "2").converge();
    const after = idOf(on, "2");
    expect(slackLines(due(on))).toEqual([
      `AIApp shop/cats: release ${after} (model version 2) is fully rolled out`,
      "App: shop/cats",
      `Release: ${after}`,
      "Image: example.azurecr.io/cats:1",
      "Model version: 2 (was 1)",
    ]);
    expect(due(on).data.before?.id).toBe(before);
  });

  it("of a failure says why, which part is to blame, what serves, and what to do", () => {
    const on = released();
    const before = idOf(on, "1");
    on.judge = () => "VerificationFailed: samples/1.json: result[0]: expected 1, got 2";
    publish(on, "2").converge();
    const failed = idOf(on, "2");
    expect(slackLines(due(on))).toEqual([
      `AIApp shop/cats: release ${failed} (model version 2) has failed`,
      "App: shop/cats",
      `Release: ${failed}`,
      "Image: example.azurecr.io/cats:1",
      "Model version: 2 (was 1)",
      "Reason: VerificationFailed",
      "Message: samples/1.json: result[0]: expected 1, got 2",
      "To blame: the new model version",
      `What to do: Release ${before} (model version 1) stays. The operator does not try ${failed} again. "aiapp status cats --namespace shop" shows what to change; "aiapp retry cats --namespace shop" tries it again as it is.`,
    ]);
  });

  it("of a release that waits for approval says how to approve it", () => {
    const on = released({ release: { approval: "Manual" } });
    publish(on, "2").converge();
    const { phase, action } = due(on).data;
    expect(phase).toBe("AwaitingApproval");
    expect(action).toContain('"aiapp approve cats --namespace shop"');
    expect(action).toContain(`${annotations.approve}=${idOf(on, "2")}`);
  });

  it("says who asked for it", () => {
    const on = released({ release: { approval: "Manual" } });
    publish(on, "2").converge();
    on.annotate(annotations.approve, idOf(on, "2"));
    on.deliveries = { isDelivered: () => true, failing: [] };
    on.reconcile();
    refusing(on).converge();
    expect(due(on).data).toMatchObject({ phase: "Released", requestedBy: "annotation" });
  });

  it("names only a change of the spec when image and model are the same", () => {
    const on = released();
    on.change({ env: [{ name: "LEVEL", value: "2" }] });
    on.converge();
    expect(due(on).data.changed).toEqual(["spec"]);
  });
});

describe("what has still to be sent", () => {
  it("is one event a webhook, the oldest first, until the journal says that it was taken", () => {
    const on = released();
    publish(on, "2").converge();
    publish(on, "3").converge();
    const first = due(on);
    expect(first.subject).toBe(idOf(on, "2"));
    on.deliveries = { isDelivered: (name, id) => name === "chat" && id === first.id, failing: [] };
    on.converge();
    expect(due(on).subject).toBe(idOf(on, "3"));
  });

  it("survives a restart that loses the status, and has the same id then", () => {
    const on = released();
    publish(on, "2").converge();
    const { id } = due(on);
    on.losesStatus = true;
    on.forget();
    on.poll().converge();
    expect(due(on).id).toBe(id);
  });

  it("is of the phases that spec.notifications names, for each webhook by itself", () => {
    const on = released({
      notifications: [
        { name: "all", type: "Generic", secret: "all", phases: ["Verifying", "Released"] },
        { name: "failures", type: "Teams", secret: "failures", phases: ["Failed"] },
      ],
    });
    publish(on, "2").converge();
    expect(phasesDue(on)).toEqual(["all Verifying"]);
    on.judge = () => "VerificationFailed: wrong";
    publish(on, "3").converge();
    expect(phasesDue(on)).toEqual(["all Verifying", "failures Failed"]);
  });

  it("is nothing of what happened before the webhook was named in the spec", () => {
    const on = refusing(new World({ verify: {} }).poll().converge());
    on.change({ notifications });
    on.converge();
    expect(phasesDue(on)).toEqual([]);
    expect(conditionsOf(on.plan())["Notified"]).toBe("True NotificationsDelivered");
  });

  it("is forgotten without a word when the webhook is no longer in the spec", () => {
    const on = released();
    publish(on, "2").converge();
    on.change({ notifications: [] });
    expect(on.reconcile().dropped).toEqual([]);
    expect(
      on.records.flatMap(({ journal }) => journal.flatMap(({ notify = [] }) => notify)),
    ).toEqual([]);
  });

  it("is given up after a day, with an event that says so", () => {
    const on = released();
    publish(on, "2").converge();
    on.now += 23 * HOUR_MS;
    on.converge();
    expect(phasesDue(on)).toEqual(["chat Released"]);
    on.now += 2 * HOUR_MS;
    const { dropped, events } = on.reconcile();
    expect(dropped).toMatchObject([{ type: "Slack" }]);
    expect(events).toEqual([
      {
        type: "Warning",
        reason: "NotificationFailed",
        message: expect.stringContaining("gave up"),
      },
    ]);
    expect(phasesDue(on)).toEqual([]);
  });

  it("is one message when the blame is known with the failure", () => {
    const on = released();
    on.judge = () => "VerificationFailed: wrong";
    publish(on, "2").converge();
    const left = on.records.flatMap(({ journal }) =>
      journal.flatMap(({ phase, notify = [] }) => notify.map((name) => `${name} ${phase}`)),
    );
    expect(left).toEqual(["chat Failed"]);
  });

  it("changes nothing about releases: without webhooks that respond, all goes on", () => {
    const on = released();
    on.deliveries = {
      isDelivered: () => false,
      failing: [{ name: "chat", code: "NOTIFICATION_FAILED", message: "the webhook is gone" }],
    };
    publish(on, "2").converge();
    expect(conditionsOf(on.plan())).toMatchObject({
      Ready: "True Serving",
      Released: "True Released",
      Notified: "False NotificationFailed",
    });
    expect(conditionsOf(on.plan())["Stalled"]).toBeUndefined();
    expect(on.app.status?.current?.modelVersion).toBe("2");
  });
});

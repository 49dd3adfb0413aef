import { describe, expect, test } from "vitest";

import { styleFor } from "../terminal.ts";
import { bar, publishProgress } from "./progress.ts";

describe("the bar", () => {
  test("shows the percentage, bytes, rate and remaining time, within the terminal's width", () => {
    const text = bar("Uploading", 512 * 1024, 1024 * 1024, 1000, 80);
    expect(text).toMatch(/^Uploading █+░+ 50% 512 KiB of 1.0 MiB, 512 KiB\/s, 1s left$/);
    for (const columns of [20, 40, 60, 200]) {
      expect(bar("Uploading", 1, 3, 1000, columns).length).toBeLessThan(columns);
    }
  });
});

describe("the progress of a publish", () => {
  function record(
    interactive: boolean,
    colours = false,
  ): {
    text: () => string;
    tick: (ms: number) => void;
    progress: ReturnType<typeof publishProgress>;
  } {
    let written = "";
    let time = 0;
    const progress = publishProgress(
      {
        out: () => {},
        err: (text) => {
          written += text;
        },
        interactive,
        columns: 80,
        style: styleFor(colours),
      },
      () => time,
    );
    return { text: () => written, tick: (ms) => void (time += ms), progress };
  }

  test("is plain lines without a terminal, one every ten seconds of a long upload", () => {
    const { text, tick, progress } = record(false);
    progress.report({ kind: "phase", phase: "Uploading", files: 1, bytes: 100 });
    for (let second = 0; second < 25; second += 1) {
      tick(1000);
      progress.report({ kind: "bytes", bytes: 2 });
    }
    progress.report({ kind: "file", path: "model.onnx", size: 100, how: "uploaded" });
    progress.end();
    expect(text()).toBe(
      "Uploading 1 file, 100 B\nUploading: 20 B of 100 B\nUploading: 40 B of 100 B\n  model.onnx 100 B\n",
    );
  });

  test("is a bar on a terminal, and the bar is erased at the end", () => {
    const { text, tick, progress } = record(true);
    progress.report({ kind: "phase", phase: "Uploading", files: 1, bytes: 100 });
    tick(1000);
    progress.report({ kind: "bytes", bytes: 50 });
    expect(text()).toContain("50%");
    progress.end();
    expect(text().endsWith("\r\u001b[K")).toBe(true);
  });

  test("does not let a file name or a server's error drive a terminal with colours", () => {
    const hostile = "\u001b[2J\u202e\r\u009bx";
    const { text, progress } = record(false, true);
    progress.report({ kind: "warning", message: hostile });
    progress.report({ kind: "file", path: hostile, size: 1, how: "uploaded" });
    progress.report({ kind: "retry", what: hostile, why: hostile, pauseMs: 1 });
    expect(text()).toContain("\u001b[33mwarning:\u001b[39m");
    // eslint-disable-next-line no-control-regex
    const unstyled = text().replace(/\u001b\[(33|39)m/g, "");
    // eslint-disable-next-line no-control-regex
    expect(unstyled).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|\p{Bidi_Control}/u);
  });
});

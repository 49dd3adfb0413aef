import { button, find, part } from "./dom.js";
import { createPaper } from "./paper.js";
import { samplePicture } from "./values.js";

/** @import { Model } from "./types.d.ts" */

/** Pictures: dropped, chosen, pasted, drawn, or from the sample. */

const SMALL_PIXELS = 64;

/** @param {string} text base64 or a `data:` URL */
async function blobOf(text) {
  const base64 = text
    .replace(/^data:[^,]*,/, "")
    .replaceAll("-", "+")
    .replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(base64.replace(/\s/g, "")), (one) => one.charCodeAt(0));
  const type = bytes[0] === 0x89 ? "image/png" : bytes[0] === 0xff ? "image/jpeg" : "image/webp";
  return new Blob([bytes], { type });
}

/** Whether most of a picture's border is dark. @param {Blob} picture */
async function hasDarkGround(picture) {
  const bitmap = await createImageBitmap(picture);
  const canvas = document.createElement("canvas");
  canvas.width = 16;
  canvas.height = 16;
  const context = canvas.getContext("2d");
  if (context === null) return true;
  context.drawImage(bitmap, 0, 0, 16, 16);
  bitmap.close();
  const { data } = context.getImageData(0, 0, 16, 16);
  let sum = 0;
  for (let at = 0; at < 16; at += 1)
    for (const [x, y] of [
      [at, 0],
      [at, 15],
      [0, at],
      [15, at],
    ])
      sum += data[4 * (16 * (y ?? 0) + (x ?? 0))] ?? 0;
  return sum / 64 < 128;
}

/**
 * @param {Model} model
 * @param {(picture: Blob, file: string) => void} onPicture
 */
export async function setUpPicture(model, onPicture) {
  const { image } = model;
  if (image === undefined) return;
  part("picture").hidden = false;
  part("hint").textContent = "Drop a picture here, paste one, or choose a file: PNG, JPEG or WebP.";
  const preview = find("preview", HTMLImageElement);
  const canvas = find("paper", HTMLCanvasElement);
  const save = find("save", HTMLAnchorElement);

  preview.addEventListener("load", () => {
    const { naturalWidth, naturalHeight } = preview;
    preview.dataset["small"] = String(Math.max(naturalWidth, naturalHeight) <= SMALL_PIXELS);
    part("caption").textContent = `${preview.alt}, ${naturalWidth} × ${naturalHeight} pixels`;
  });
  preview.addEventListener("error", () => {
    preview.hidden = true;
    part("caption").textContent = preview.alt;
  });

  /** @param {Blob} picture @param {string} file @param {string} caption */
  function take(picture, file, caption) {
    setDrawing(false);
    URL.revokeObjectURL(preview.src);
    preview.src = URL.createObjectURL(picture);
    preview.alt = caption;
    preview.hidden = false;
    part("hint").hidden = true;
    onPicture(picture, file);
  }

  /** @param {boolean} isDrawing */
  function setDrawing(isDrawing) {
    canvas.hidden = !isDrawing;
    part("drawing").hidden = !isDrawing;
    part("hint").hidden = isDrawing;
    if (isDrawing) preview.hidden = true;
  }

  const paper = createPaper(canvas, image, (drawing) => {
    URL.revokeObjectURL(save.href);
    save.href = URL.createObjectURL(drawing);
    onPicture(drawing, "drawing.png");
  });
  const draw = button("draw");
  draw.hidden = false;
  draw.addEventListener("click", () => {
    paper.clear();
    setDrawing(true);
    part("caption").textContent =
      "Draw with mouse, pen or finger, as large as the frame. Each stroke is scored.";
  });
  button("clear").addEventListener("click", paper.clear);
  button("invert").addEventListener("click", paper.invert);

  const picker = find("file", HTMLInputElement);
  picker.addEventListener("change", () => {
    takeFile(picker.files?.[0]);
    picker.value = "";
  });
  /** @param {File | null | undefined} file */
  function takeFile(file) {
    if (file !== null && file !== undefined) take(file, file.name, file.name);
  }
  document.addEventListener("paste", (event) => takeFile(event.clipboardData?.files[0]));
  const drop = part("drop");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.dataset["over"] = "true";
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.dataset["over"] = "false";
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.dataset["over"] = "false";
    takeFile(event.dataTransfer?.files[0]);
  });

  const sample = samplePicture(model);
  if (sample === undefined) return;
  try {
    const picture = await blobOf(sample);
    paper.setDark(await hasDarkGround(picture));
    const use = button("sample-picture");
    use.hidden = false;
    use.addEventListener("click", () => {
      const file = `sample.${picture.type.slice("image/".length)}`;
      take(picture, file, "The bundle's first sample");
    });
  } catch {
    // A sample that this browser cannot read is not offered.
  }
}

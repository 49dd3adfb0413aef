/** A canvas to draw on, and the picture that it becomes. */

const INK_SHARE = 0.1;
/** Models of larger images get the drawing as it is. */
const MAX_SMALL = 64;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{ width: number, height: number }} image the pixels that the model sees
 * @param {(picture: Blob) => void} onDrawn after each stroke
 */
export function createPaper(canvas, image, onDrawn) {
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no canvas");
  const pen = context;
  let isDark = true;
  let isEmpty = true;
  /** @type {number | undefined} */
  let pointer;

  function clear() {
    isEmpty = true;
    pen.fillStyle = isDark ? "black" : "white";
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }

  /** @param {PointerEvent} event */
  function positionOf(event) {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) * canvas.width) / box.width;
    const y = ((event.clientY - box.top) * canvas.height) / box.height;
    return /** @type {const} */ ([x, y]);
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== undefined || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    isEmpty = false;
    pen.strokeStyle = isDark ? "white" : "black";
    pen.lineWidth = canvas.width * INK_SHARE;
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...positionOf(event));
    pen.lineTo(...positionOf(event));
    pen.stroke();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) pen.lineTo(...positionOf(one));
    pen.stroke();
  });
  /** @param {PointerEvent} event */
  function end(event) {
    if (event.pointerId !== pointer) return;
    pointer = undefined;
    emit();
  }
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);

  /** Small models see averages of what was drawn, however they resize: `nearest` would take single pixels. */
  function emit() {
    const { width, height } = image;
    const isSmall = width <= MAX_SMALL && height <= MAX_SMALL;
    (isSmall ? averaged(canvas, width, height) : canvas).toBlob((blob) => {
      if (blob !== null) onDrawn(blob);
    }, "image/png");
  }

  clear();
  return {
    clear,
    invert: () => {
      isDark = !isDark;
      if (isEmpty) {
        clear();
        return;
      }
      pen.globalCompositeOperation = "difference";
      pen.fillStyle = "white";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.globalCompositeOperation = "source-over";
      emit();
    },
    /** @param {boolean} dark */
    setDark: (dark) => {
      isDark = dark;
      clear();
    },
  };
}

/**
 * @param {HTMLCanvasElement} source
 * @param {number} width
 * @param {number} height
 */
function averaged(source, width, height) {
  const target = document.createElement("canvas");
  target.width = width;
  target.height = height;
  const context = target.getContext("2d");
  const pixels = source.getContext("2d")?.getImageData(0, 0, source.width, source.height).data;
  if (context === null || pixels === undefined) return source;
  const result = context.createImageData(width, height);
  const sums = new Float64Array(width * height);
  const counts = new Float64Array(width * height);
  for (let y = 0; y < source.height; y += 1)
    for (let x = 0; x < source.width; x += 1) {
      const at =
        Math.floor((y * height) / source.height) * width + Math.floor((x * width) / source.width);
      sums[at] = (sums[at] ?? 0) + (pixels[4 * (y * source.width + x)] ?? 0);
      counts[at] = (counts[at] ?? 0) + 1;
    }
  for (let at = 0; at < sums.length; at += 1) {
    const grey = Math.round((sums[at] ?? 0) / (counts[at] ?? 1));
    result.data.set([grey, grey, grey, 255], 4 * at);
  }
  context.putImageData(result, 0, 0);
  return target;
}

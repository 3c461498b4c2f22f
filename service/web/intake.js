/** The ways in which a picture or a video comes to the page: chosen, dropped, pasted. */

/** Names of videos whose type browsers do not know. */
const VIDEO_NAME = /\.(avi|flv|m2ts|m4v|mkv|mov|mp4|mpe?g|mts|ogv|ts|webm|wmv)$/i;

/**
 * Whether a file is meant to be a video; whether it is one, the service tells.
 * @param {File} file
 */
export function isVideo(file) {
  return file.type.startsWith("video/") || (!file.type.startsWith("image/") && VIDEO_NAME.test(file.name));
}

/**
 * Listen for files.
 * @param {{input: HTMLInputElement, buttons: HTMLElement[], frame: HTMLElement}} elements
 * @param {(file: File) => void} take Called with each.
 */
export function listenForFiles({ input, buttons, frame }, take) {
  for (const button of buttons) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) take(file);
    // The same file may be chosen again.
    input.value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) take(file);
  });
  listenForDrops(frame, take);
}

/**
 * The whole page takes a drop; the frame shows that it does.
 * @param {HTMLElement} frame
 * @param {(file: File) => void} take
 */
function listenForDrops(frame, take) {
  const hasFile = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    frame.classList.add("awaits");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) frame.classList.remove("awaits");
  });
  document.addEventListener("drop", (event) => {
    frame.classList.remove("awaits");
    if (!hasFile(event)) return;
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
}

/**
 * Decode a file for showing, upright by its EXIF orientation.
 * @param {Blob} file
 * @returns {Promise<HTMLImageElement|null>} Null where the browser cannot.
 */
export async function loadPicture(file) {
  const picture = new Image();
  picture.src = URL.createObjectURL(file);
  try {
    await picture.decode();
    return picture;
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(picture.src);
  }
}

/** The key of a service that asks its callers who they are: asked for once, kept as long as this tab is. */

const PLACE = "vitrail.key";

/** @type {Promise<boolean>|null} One question at a time, whoever needs its answer. */
let asking = null;

/** The key, or nothing. */
export function heldKey() {
  return sessionStorage.getItem(PLACE) ?? "";
}

/**
 * Fetch with the key, if there is one; where the service wants one, ask for it and try again.
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<Response>}
 */
export async function fetchWithKey(path, options) {
  const used = heldKey();
  const headers = new Headers(options.headers);
  if (used) headers.set("Authorization", `Bearer ${used}`);
  const response = await fetch(path, { ...options, headers });
  if (response.status !== 401) return response;
  // Another request may have asked for a new one meanwhile.
  if (heldKey() === used && !(await askForKey(Boolean(used)))) return response;
  return options.signal?.aborted ? response : fetchWithKey(path, options);
}

/** The protocols under which a WebSocket brings the key: a browser lets it send no header. */
export function protocolsWithKey() {
  const key = heldKey();
  return key ? ["vitrail", `vitrail.bearer.${key}`] : [];
}

/**
 * Ask whoever sits there for the key.
 * @param {boolean} wrong There was one, which was not taken.
 * @returns {Promise<boolean>} Whether there is one now.
 */
function askForKey(wrong) {
  asking ??= ask(wrong).finally(() => (asking = null));
  return asking;
}

/**
 * @param {boolean} wrong
 * @returns {Promise<boolean>}
 */
function ask(wrong) {
  const field = Object.assign(document.createElement("input"), { type: "password", id: "key", autocomplete: "off" });
  const label = Object.assign(document.createElement("label"), { htmlFor: "key" });
  label.textContent = wrong ? "The service does not take that key. Its key:" : "This service asks for a key:";
  const [use, leave] = ["Use it", "Without"].map((text, place) =>
    Object.assign(document.createElement("button"), { textContent: text, value: place ? "" : "use" }),
  );
  leave.formNoValidate = true;
  field.required = true;
  const form = Object.assign(document.createElement("form"), { method: "dialog" });
  form.append(label, field, use, leave);
  const dialog = Object.assign(document.createElement("dialog"), { id: "key-dialog" });
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" && field.value.trim();
      if (given) sessionStorage.setItem(PLACE, given);
      dialog.remove();
      resolve(Boolean(given));
    });
  });
}

/**
 * Have a link's file fetched with the key, which a link itself cannot bring.
 * @param {HTMLAnchorElement} link
 */
export function downloadWithKey(link) {
  link.addEventListener("click", async (event) => {
    if (!heldKey() || link.href.startsWith("blob:")) return;
    event.preventDefault();
    const response = await fetchWithKey(link.href, {});
    if (!response.ok) return;
    const address = URL.createObjectURL(await response.blob());
    const copy = Object.assign(document.createElement("a"), { href: address, download: link.download });
    copy.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
}

/** The parameters of the tasks as form fields, made from what the service says of itself. */

import { json, reach } from "./api.js";
import { byId, make } from "./elements.js";

/**
 * @typedef {{
 *   type?: string, enum?: string[], default?: unknown, minimum?: number, maximum?: number, anyOf?: Schema[]
 * }} Schema
 * @typedef {{name: string, description: string, schema: Schema}} Parameter
 */

/** @type {Map<string, Parameter[]>} By task. */
const known = new Map();
/** @type {Map<string, Record<string, string>>} By task, what was put in. */
const given = new Map();
let task = "";

/** Ask which parameters there are; without an answer there are no fields. */
export async function loadParameters() {
  try {
    const { paths } = await json(await reach("openapi.json", {}));
    for (const [path, { post }] of Object.entries(paths)) {
      const offered = /** @type {any[]} */ (post?.parameters ?? []).filter((one) => one.in === "query" && one.name !== "model");
      if (/^\/v1\/[a-z-]+$/.test(path)) known.set(path.slice(4), offered);
    }
  } catch (error) {
    console.warn("the parameters are not known", error);
  }
  const chosen = task;
  task = "";
  showParameters(chosen);
}

/**
 * Offer the parameters of a task, with what was put in before.
 * @param {string} chosen
 */
export function showParameters(chosen) {
  if (task === chosen) return;
  task = chosen;
  const fields = (known.get(task) ?? []).map((parameter) => fieldOf(parameter, given.get(task)?.[parameter.name]));
  byId("parameters-card").hidden = !fields.length;
  byId("parameters").replaceChildren(...fields);
  showCount();
}

/**
 * Listen to what is put in.
 * @param {() => void} changed Told when the parameters are others.
 */
export function listenForParameters(changed) {
  byId("parameters-form").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  byId("parameters-form").addEventListener("change", () => {
    if (!byId("parameters-form").reportValidity()) return;
    given.set(task, readFields());
    showCount();
    changed();
  });
  byId("reset").addEventListener("click", () => {
    given.delete(task);
    const chosen = task;
    task = "";
    showParameters(chosen);
    byId("parameters-summary").focus();
    changed();
  });
}

/**
 * What was put in for the task that is chosen; what was left as it is, is left out.
 * @returns {Record<string, string>}
 */
export function taskParameters() {
  return { ...given.get(task) };
}

/**
 * The same with the types that they have, for code.
 * @returns {Record<string, string|number|boolean|string[]>}
 */
export function typedParameters() {
  const types = new Map((known.get(task) ?? []).map(({ name, schema }) => [name, schema.type]));
  return Object.fromEntries(
    Object.entries(taskParameters()).map(([name, value]) => {
      const type = types.get(name);
      if (type === "boolean") return [name, value === "true"];
      if (type === "array") return [name, value.split(",").map((part) => part.trim())];
      // What may be a number or a name is a number where it looks like one, as the service has it.
      return [name, type === "string" || !/^-?[\d.]+(e-?\d+)?$/i.test(value) ? value : Number(value)];
    }),
  );
}

function showCount() {
  const count = Object.keys(taskParameters()).length;
  byId("parameters-count").textContent = count ? `${count} set` : "";
  byId("reset").hidden = !count;
}

/** @returns {Record<string, string>} */
function readFields() {
  /** @type {Record<string, string>} */
  const values = {};
  for (const field of byId("parameters-form").elements) {
    if (!field.name) continue;
    const value = field.type === "checkbox" ? String(field.checked) : field.value.trim();
    if (value !== "" && value !== field.dataset.default) values[field.name] = value;
  }
  return values;
}

/**
 * @param {Parameter} parameter
 * @param {string|undefined} value
 */
function fieldOf({ name, description, schema }, value) {
  const control = controlOf(schema, value);
  Object.assign(control, { name, id: `parameter-${name}` });
  const text = make("small", "hint", description);
  text.id = `hint-${name}`;
  control.setAttribute("aria-describedby", text.id);
  const title = titleOf(name);
  const isSwitch = control.getAttribute("type") === "checkbox";
  const label = isSwitch ? make("label", "switch", control, title) : make("label", "option", make("span", "quiet", title), control);
  return make("div", "parameter", label, ...(description ? [text] : []));
}

/**
 * @param {Schema} schema
 * @param {string|undefined} value
 * @returns {HTMLElement}
 */
function controlOf(schema, value) {
  const preset = schema.default === undefined ? undefined : String(schema.default);
  if (schema.enum) return choiceOf(schema.enum, preset, value ?? preset);
  const input = document.createElement("input");
  if (preset !== undefined) input.dataset.default = preset;
  if (schema.type === "boolean") {
    Object.assign(input, { type: "checkbox", checked: (value ?? preset) === "true" });
    return input;
  }
  if (schema.type === "number" || schema.type === "integer") {
    Object.assign(input, { type: "number", step: schema.type === "integer" ? "1" : "any", inputMode: "decimal" });
    if (schema.minimum !== undefined) input.min = String(schema.minimum);
    if (schema.maximum !== undefined) input.max = String(schema.maximum);
  } else {
    Object.assign(input, { type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: false });
  }
  Object.assign(input, { placeholder: preset ?? "default", value: value ?? "" });
  return input;
}

/**
 * @param {string[]} choices
 * @param {string|undefined} preset
 * @param {string|undefined} value
 */
function choiceOf(choices, preset, value) {
  const select = document.createElement("select");
  if (preset !== undefined) select.dataset.default = preset;
  else select.append(new Option("default", ""));
  for (const choice of choices) select.append(new Option(choice, choice, choice === preset, choice === value));
  return select;
}

/**
 * @param {string} name As in ``mask_format``.
 */
function titleOf(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

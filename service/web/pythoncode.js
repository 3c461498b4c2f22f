/** The request as code for the project's Python client. */

/** @typedef {Record<string, string|number|boolean|string[]>} Typed Parameters with the types that Python wants. */

/** What is printed of a result, by task. */
const PRINTED = {
  classify: ["classes", 'found["label"], found["score"]'],
  detect: ["objects", 'found["label"], found["score"], found["box"]'],
  segment: ["segments", 'found["label"], found["area"], found["box"]'],
  regions: ["regions", 'found["score"], found["polygon"]'],
  keypoints: ["people", 'found["score"], found["keypoints"]'],
};
/** Names that Python needs for itself. */
const KEYWORDS = new Set(["class", "from", "import", "global", "lambda", "in", "is", "not", "with"]);

/**
 * Code that sends the same file to the same model.
 * @param {string} task
 * @param {string} model
 * @param {Typed} parameters
 * @param {string} file Its name.
 */
export function pythonCode(task, model, parameters, file) {
  const call = `client.${task}(${argumentsOf([literal(file), `model=${literal(model)}`], parameters)})`;
  return [...opening(), `    result = ${call}`, ...printing(task)].join("\n");
}

/**
 * Code that sends the same file to several models.
 * @param {string} task
 * @param {string[]} models
 * @param {Typed} parameters
 * @param {string} file Its name.
 */
export function comparingCode(task, models, parameters, file) {
  const call = `client.${task}(${argumentsOf([literal(file), "model=model"], parameters)})`;
  const work = [`result = ${call}`, "print(model)", ...printing(task)];
  return [...opening(), `    for model in ${literal(models)}:`, ...work.map((line) => `        ${line}`)].join("\n");
}

/**
 * What is done with a result.
 * @param {string} task
 */
function printing(task) {
  const [list, fields] = PRINTED[task] ?? [];
  if (list) return [`for found in result["${list}"]:`, `    print(${fields})`];
  return [task === "embed" ? 'print(result["dimension"])' : 'print(result["map"]["min"], result["map"]["max"])'];
}

/**
 * Code that sends the same video and prints its results.
 * @param {string} task
 * @param {string} model
 * @param {Typed} options
 * @param {string} file Its name.
 */
export function videoCode(task, model, options, file) {
  const call = `client.videos.submit(${argumentsOf([literal(file)], { task, model, ...options })})`;
  return [
    ...opening(), `    job = ${call}`, '    for line in client.videos.results(job["id"]):', "        print(line)",
  ].join("\n");
}

function opening() {
  const address = new URL(".", document.baseURI).href.replace(/\/$/, "");
  return ["from vitrail_client import Client", "", `with Client(${literal(address)}) as client:`];
}

/**
 * @param {string[]} first
 * @param {Typed} named
 */
function argumentsOf(first, named) {
  const given = Object.entries(named).map(([name, value]) => `${KEYWORDS.has(name) ? `${name}_` : name}=${literal(value)}`);
  return [...first, ...given].join(", ");
}

/**
 * A value as Python reads it; letters that nobody sees are written by their numbers.
 * @param {string|number|boolean|string[]} value
 */
function literal(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  return JSON.stringify(value).replace(
    /[\u007f-\u00a0\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The results of a video by their time, as many of them as memory is meant to hold. */

/** @typedef {import("./videos.js").Line} Line */
/** @typedef {{start_s: number, from: number, to: number, count: number, size: number, lines: Line[]|null}} Block
 *     Lines that follow one another, from one frame to another; null where they have been let go. */

/** Characters of JSON that are kept; as objects they take a few times as many bytes. */
const KEPT = 32 * 2 ** 20;
const BLOCK_LINES = 256;
const BLOCK_SIZE = 2 ** 19;
/** Times are rounded: by a container to its ticks, and by the service to millionths. */
const ROUNDING_S = 0.001;
const LEAST_GAP_S = 0.1;

export class Timeline {
  /** @type {Block[]} */ #blocks = [];
  #kept = 0;
  /** Index of the block that was asked for last. */
  #here = 0;
  #gap_s = LEAST_GAP_S;
  /** Time of the last line. */
  end_s = -Infinity;
  /** The frame from which on there is no line yet. */
  next = 0;

  /**
   * Add the next line.
   * @param {Line} line
   * @param {number} size Its length as JSON.
   */
  add(line, size) {
    let block = this.#blocks.at(-1);
    if (!block?.lines || block.count >= BLOCK_LINES || block.size >= BLOCK_SIZE) {
      block = { start_s: line.timestamp_s, from: line.frame, to: line.frame, count: 0, size: 0, lines: [] };
      this.#blocks.push(block);
    }
    /** @type {Line[]} */ (block.lines).push(line);
    block.to = line.frame;
    block.count += 1;
    block.size += size;
    if (this.end_s > -Infinity) this.#gap_s = Math.max(this.#gap_s, line.timestamp_s - this.end_s);
    this.end_s = line.timestamp_s;
    this.next = line.frame + 1;
    this.#kept += size;
    this.#letGo();
  }

  /**
   * The line that holds at a time: the last one that is not later.
   * @param {number} time_s
   * @returns {{line: Line|null, missing: Block|null}} ``missing``: the line has been let go, and stands in this block.
   */
  at(time_s) {
    const time = time_s + ROUNDING_S;
    const index = lastNotAfter(this.#blocks, (block) => block.start_s, time);
    if (index < 0) return { line: null, missing: null };
    this.#here = index;
    const { lines } = this.#blocks[index];
    if (!lines) return { line: null, missing: this.#blocks[index] };
    return { line: lines[lastNotAfter(lines, (line) => line.timestamp_s, time)] ?? null, missing: null };
  }

  /**
   * Whether a time lies so far behind the last line that another one must be meant to come.
   * @param {number} time_s
   */
  isAhead(time_s) {
    return time_s > this.end_s + this.#gap_s + ROUNDING_S;
  }

  /**
   * Put the lines of a block back.
   * @param {Block} block
   * @param {Line[]} lines
   */
  restore(block, lines) {
    if (block.lines) return;
    block.lines = lines;
    this.#kept += block.size;
    this.#letGo();
  }

  /** Let the lines go that lie farthest from where the video is; the last block is still being written. */
  #letGo() {
    while (this.#kept > KEPT) {
      let farthest = -1;
      for (let i = 0; i < this.#blocks.length - 1; i++) {
        const distance = this.#blocks[i].lines ? Math.abs(i - this.#here) : 0;
        if (distance > 0 && (farthest < 0 || distance > Math.abs(farthest - this.#here))) farthest = i;
      }
      if (farthest < 0) return;
      this.#blocks[farthest].lines = null;
      this.#kept -= this.#blocks[farthest].size;
    }
  }
}

/**
 * The place of the last item whose value is not after another, by bisection; -1 where there is none.
 * @template T
 * @param {T[]} items In the order of their values.
 * @param {(item: T) => number} value
 * @param {number} limit
 */
function lastNotAfter(items, value, limit) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value(items[middle]) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// A course of a figure over time: a line, the area below it, and words for whoever doesn't see it.

const SVG = "http://www.w3.org/2000/svg";
/** Points of a course: five minutes of seconds. */
export const POINTS = 300;
/** A course that is shorter than this leaves the rest free; a longer one fills the width. */
const WIDTH = 60;
const HEIGHT = 40;

export class Sparkline {
  #area = document.createElementNS(SVG, "path");
  #line = document.createElementNS(SVG, "path");

  /** @param {string} name what it is a course of */
  constructor(name) {
    this.name = name;
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("class", "spark");
    this.element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("role", "img");
    this.element.setAttribute("aria-label", `${name}: nothing yet`);
    this.#area.setAttribute("class", "area");
    this.element.append(this.#area, this.#line);
  }

  /**
   * The newest point is at the right edge. A null is a gap.
   * @param {(number | null)[]} points @param {(value: number) => string} words
   */
  draw(points, words) {
    const known = /** @type {number[]} */ (points.filter(point => point !== null));
    const highest = known.reduce((most, point) => Math.max(most, point), 0);
    const scale = highest > 0 ? (HEIGHT - 4) / (highest * 1.1) : 0;
    let line = "", area = "", start = -1;
    const step = WIDTH / Math.max(WIDTH, points.length - 1);
    points.forEach((point, at) => {
      if (point === null) return;
      const x = Number((WIDTH - (points.length - 1 - at) * step).toFixed(2)), y = (HEIGHT - 1 - point * scale).toFixed(1);
      if (start < 0) start = x;
      line += `${x === start ? "M" : "L"}${x} ${y}`;
      if (at === points.length - 1 || points[at + 1] === null) {
        area += `${line.slice(line.lastIndexOf("M"))}L${x} ${HEIGHT}L${start} ${HEIGHT}Z`;
        start = -1;
      }
    });
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", area);
    const told = known.length ? `now ${words(known[known.length - 1])}, at most ${words(highest)} in ${span(points.length)}` : "nothing yet";
    this.element.setAttribute("aria-label", `${this.name}: ${told}`);
  }
}

/** @param {number} seconds */
function span(seconds) {
  return seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
}

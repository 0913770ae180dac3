// SVG elements that are kept and changed in place.

/**
 * @param {string} name
 * @param {Record<string, string | number>} [attributes]
 * @param {Element} [parent]
 * @returns {SVGElement}
 */
export function svg(name, attributes = {}, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(element, attributes);
  parent?.append(element);
  return element;
}

/**
 * Sets only what differs.
 * @param {Element} element
 * @param {Record<string, string | number>} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
  }
}

/** Elements by key: those that are not asked for in a round are removed at its end. */
export class Kept {
  #parent;
  #make;
  #all = new Map();
  #used = new Set();

  /**
   * @param {Element} parent
   * @param {(key: string) => SVGElement} make
   */
  constructor(parent, make) {
    this.#parent = parent;
    this.#make = make;
  }

  /** @param {string} key */
  get(key) {
    let element = this.#all.get(key);
    if (!element) {
      element = this.#make(key);
      this.#parent.append(element);
      this.#all.set(key, element);
    }
    this.#used.add(key);
    return element;
  }

  /** Ends the round. */
  done() {
    for (const [key, element] of this.#all) {
      if (this.#used.has(key)) continue;
      element.remove();
      this.#all.delete(key);
    }
    this.#used.clear();
  }
}

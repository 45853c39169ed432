// Which keys are down, whatever they are pressed with: keyboard, fingers, buttons.

const NAMES = {
  " ": "space", arrowup: "up", arrowdown: "down", arrowleft: "left", arrowright: "right",
  enter: "return", pageup: "page up", pagedown: "page down",
};
const SIDES = { ShiftLeft: "left shift", ShiftRight: "right shift" };
const OF_SLIDERS = new Set(["up", "down", "left", "right", "home", "end", "page up", "page down"]);
const OF_BUTTONS = new Set(["space", "return"]);
const OF_CHOICES = new Set(["up", "down", "left", "right", "space"]);

export function nameOf(event) {
  if (event.code in SIDES) return SIDES[event.code];
  if (/^Numpad\d$/.test(event.code)) return `[${event.code.at(-1)}]`;
  const key = event.key.toLowerCase();
  return NAMES[key] ?? key;
}

// Whether the element in focus needs the key for itself.
export function isTaken(name, element) {
  if (element instanceof HTMLButtonElement) return OF_BUTTONS.has(name);
  if (!(element instanceof HTMLInputElement)) return false;
  return (element.type === "range" ? OF_SLIDERS : OF_CHOICES).has(name);
}

export class Keys {
  constructor(send) {
    this.send = send;
    this.sources = new Map();
    this.held = [];
    this.number = 0;
  }

  // A source is what holds keys: a code of the keyboard, a finger, a button.
  press(source, names) {
    const before = this.sources.get(source) ?? [];
    this.sources.set(source, names);
    this.update(names.filter((name) => !before.includes(name)));
  }

  release(source) {
    if (this.sources.delete(source)) this.update([]);
  }

  releaseAll() {
    this.sources.clear();
    this.update([]);
  }

  update(pressed) {
    const now = new Set([...this.sources.values()].flat());
    const held = this.held.filter((name) => now.has(name));
    const tapped = pressed.filter((name) => !held.includes(name));
    for (const name of now) if (!held.includes(name)) held.push(name);
    if (!tapped.length && held.join() === this.held.join()) return;
    this.held = held;
    this.number += 1;
    this.send({ type: "keys", held, tapped, number: this.number }, tapped.length > 0);
  }
}

// Controls for fingers: a pad for directions and a round button for each other key.

const DIRECTIONS = ["right", "down", "left", "up"];
const DEAD = 0.22;

export function buildTouch(elements, hello, keys) {
  const { touch, pad, actions } = elements;
  const directions = DIRECTIONS.filter((name) => hello.allowed.includes(name));
  pad.hidden = directions.length === 0;
  bindPad(pad, directions, hello.turns, keys);
  actions.replaceChildren(
    ...hello.keys
      .filter(({ names }) => !names.some((name) => DIRECTIONS.includes(name)))
      .map(({ names, does }) => holdable(document.createElement("button"), names[0], does, keys)),
  );
  const isCoarse = matchMedia("(pointer: coarse)");
  const show = () => { touch.hidden = !isCoarse.matches; };
  isCoarse.onchange = show;
  show();
}

function holdable(button, name, does, keys) {
  button.type = "button";
  button.textContent = does.toLowerCase().replaceAll("_", " ");
  bindHold(button, name, keys);
  return button;
}

// While the button is held, so is the key; space and return hold it too.
export function bindHold(button, name, keys) {
  const source = `button ${name}`;
  const press = () => { keys.press(source, [name]); button.classList.add("down"); };
  const release = () => { keys.release(source); button.classList.remove("down"); };
  button.addEventListener("pointerdown", (event) => {
    if (button.disabled) return;
    button.setPointerCapture(event.pointerId);
    press();
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(kind, release);
  button.addEventListener("keydown", (event) => {
    if (!event.repeat && (event.key === " " || event.key === "Enter")) press();
  });
  button.addEventListener("keyup", release);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
}

function bindPad(pad, directions, isFourWay, keys) {
  const show = (names) => {
    for (const arrow of pad.children) arrow.classList.toggle("on", names.includes(arrow.className.split(" ")[0]));
  };
  const move = (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    const names = directionsAt(pad, event, isFourWay).filter((name) => directions.includes(name));
    keys.press("pad", names);
    show(names);
  };
  pad.onpointerdown = (event) => { pad.setPointerCapture(event.pointerId); move(event); };
  pad.onpointermove = move;
  pad.onlostpointercapture = () => { keys.release("pad"); show([]); };
  pad.oncontextmenu = (event) => event.preventDefault();
}

function directionsAt(pad, event, isFourWay) {
  const box = pad.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width - 0.5;
  const y = (event.clientY - box.top) / box.height - 0.5;
  if (Math.hypot(x, y) < DEAD / 2) return [];
  const parts = isFourWay ? 4 : 8;
  const part = (Math.round((Math.atan2(y, x) / (2 * Math.PI)) * parts) + parts) % parts;
  if (isFourWay) return [DIRECTIONS[part]];
  const first = DIRECTIONS[Math.floor(part / 2)];
  return part % 2 ? [first, DIRECTIONS[(Math.floor(part / 2) + 1) % 4]] : [first];
}

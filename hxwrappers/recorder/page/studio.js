// The page: it shows what the server tells and tells the server what its user does.

import { Keys, isTaken, nameOf } from "./keys.js";
import { Link } from "./link.js";
import { Screen } from "./screen.js";
import { Series } from "./series.js";
import { Sound } from "./sound.js";
import { bindTheme } from "./theme.js";
import { bindHold, buildTouch } from "./touch.js";

const $ = (id) => document.getElementById(id);
const MODES = {
  waiting: "waiting for a key", playing: "recording", paused: "paused", rewinding: "back in time",
  ended: "episode over", leaving: "ending",
};
const SPEEDS = { 1: "1×", 0.5: "½×", 0.25: "¼×" };
const SMOOTHED = 9;

const screen = new Screen($("screen"));
const series = new Series($("chart"));
const sound = new Sound(null);
const sentAt = new Map();
const latencies = [];
let hello = null;
let role = { controls: false };
let status = null;
let sought = null;

const link = new Link({
  hello: setUp,
  role: showRole,
  run: showRun,
  frame: showFrame,
  pong: ({ at }) => { $("network").textContent = milliseconds(performance.now() - at); },
  over: ({ text, failed }) => veil(failed ? "Stopped" : "Ended", `${text}. You can close this page.`),
  lost: (title, text) => { keys.releaseAll(); veil(title, text); },
});
const keys = new Keys((message, isPress) => {
  if (isPress && status?.mode === "playing") sentAt.set(message.number, performance.now());
  link.send(message);
});
const command = (word) => link.send({ type: "command", word });

function setUp(message) {
  const isFirst = hello === null;
  hello = message;
  keys.number = 0;
  sentAt.clear();
  $("veil").hidden = true;
  $("env").textContent = hello.env;
  $("file").textContent = hello.file;
  document.title = `${hello.env} – hxw demo record`;
  sound.rate = hello.sound;
  $("sound").hidden = !hello.sound;
  $("caps").replaceChildren(...hello.keys.map(({ names, does }) => row("li", names, does)));
  if (!isFirst) return;
  buildHelp();
  buildSpeeds();
  buildTouch({ touch: $("touch"), pad: $("pad"), actions: $("actions") }, hello, keys);
  bindHold($("rewind"), hello.controls.rewind, keys);
  $("stage").focus();
}

function row(tag, names, does) {
  const line = document.createElement(tag);
  const caps = document.createElement(tag === "li" ? "span" : "dt");
  const what = document.createElement(tag === "li" ? "span" : "dd");
  caps.className = "names";
  what.className = "does";
  what.textContent = does.toLowerCase();
  caps.append(...names.map((name) => {
    const cap = document.createElement("kbd");
    cap.textContent = { up: "↑", down: "↓", left: "←", right: "→" }[name] ?? name;
    cap.dataset.key = name;
    return cap;
  }));
  line.append(caps, what);
  return line;
}

function buildHelp() {
  const { controls } = hello;
  $("help-keys").replaceChildren(
    ...hello.keys.map(({ names, does }) => row("div", names, does)),
    row("div", [controls.rewind], "hold: back in time; one press of a game at rest: one step"),
    row("div", [controls.pause], "pause, go on"),
    row("div", [controls.single], "one step"),
    row("div", [controls.slower], "full speed, a half, a quarter"),
    row("div", [controls.save, "ctrl+s"], "save"),
    row("div", [controls.leave], "end"),
    row("div", [controls.help], "this help"),
  );
}

function buildSpeeds() {
  const labels = hello.speeds.map((speed, index) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "speed", value: index });
    input.addEventListener("change", () => link.send({ type: "speed", index }));
    label.append(input, SPEEDS[speed] ?? `${speed}×`);
    input.setAttribute("aria-label", speed === 1 ? "full speed" : `${speed} of full speed`);
    return label;
  });
  $("speeds").append(...labels);
}

function showRole(message) {
  role = message;
  document.body.classList.toggle("watching", !role.controls);
  for (const element of document.querySelectorAll(".for-controller, #takes button, #actions button")) element.disabled = !role.controls;
  const others = `${role.others} ${role.others === 1 ? "other" : "others"}`;
  const text = role.controls
    ? (role.asked ? "Hand over control" : `You control, ${others} watching`)
    : (role.free ? "Take control" : role.asked ? "Asked for control…" : "Watching. Ask for control");
  $("role").textContent = text;
  $("role").hidden = role.controls && role.others === 0;
  $("role").disabled = !role.controls && role.asked;
  $("role").classList.toggle("wanted", role.controls ? role.asked : role.free);
  if (!role.controls) keys.releaseAll();
}

function showRun(message) {
  series.setRun(message);
  $("takes-section").hidden = message.takes.length === 0;
  $("takes").replaceChildren(...message.takes.map((take) => {
    const item = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", disabled: !role.controls });
    const title = document.createElement("span");
    title.textContent = `Take ${take.number}: return ${take.score}`;
    const more = document.createElement("small");
    const lives = take.lives === null ? "" : `, ${take.lives} ${take.lives === 1 ? "life" : "lives"}`;
    more.textContent = `${take.steps} steps${lives}, left at ${take.left_at}`;
    button.append(title, more);
    button.addEventListener("click", () => link.send({ type: "take", number: take.number }));
    item.append(button);
    return item;
  }));
}

function showFrame(frame) {
  sound.play(frame.sound, frame.status.speed);
  screen.show(frame.picture, () => measure(frame.status.number));
  const before = status;
  status = frame.status;
  series.follow(status);
  showScrubber();
  $("step").textContent = status.step.toLocaleString("en");
  $("score").textContent = status.score.toLocaleString("en");
  $("lives").textContent = status.lives ?? "–";
  $("lives-fact").hidden = status.lives === null;
  $("lives").classList.toggle("lost", before !== null && status.lives < before.lives && status.step === before.step + 1);
  $("rate").textContent = status.measured ? status.measured.toFixed(1) : "–";
  for (const cap of document.querySelectorAll("aside kbd")) cap.classList.toggle("down", status.held.includes(cap.dataset.key));
  if (before === null || before.mode !== status.mode || before.ahead !== status.ahead || before.message !== status.message || before.speed !== status.speed || before.saved !== status.saved) showState();
}

function showState() {
  const isBehind = status.ahead > 0;
  const all = status.step + status.ahead;
  $("badge").textContent = `${MODES[status.mode]}${status.speed === 1 ? "" : `, ${SPEEDS[status.speed]}`}`;
  $("badge").dataset.mode = status.mode;
  const hint = isBehind && status.mode === "waiting"
    ? `step ${status.step} of ${all}; a key of the game plays on from here, as a new take`
    : status.message;
  if ($("message").textContent !== hint) $("message").textContent = hint;
  const isPaused = status.mode === "paused";
  label("pause", isPaused ? "▶" : "❚❚", isPaused ? "Go on" : "Pause");
  $("save").textContent = status.saved ? "Saved" : isBehind ? "Save to here" : "Save";
  const speed = $("speeds").querySelector(`input[value="${hello.speeds.indexOf(status.speed)}"]`);
  if (speed) speed.checked = true;
}

function showScrubber() {
  const scrub = $("scrub");
  scrub.max = status.step + status.ahead;
  // While it is dragged it shows where it was dragged to, not where the server is on the way.
  if (sought === null || sought === status.step) {
    sought = null;
    scrub.value = status.step;
  }
  const lives = status.lives === null ? "" : `, ${status.lives} lives`;
  scrub.setAttribute("aria-valuetext", `step ${status.step} of ${scrub.max}, return ${status.score}${lives}`);
}

function measure(number) {
  const now = performance.now();
  for (const [sent, at] of sentAt) {
    if (sent > number) break;
    sentAt.delete(sent);
    latencies.push(now - at);
  }
  if (!latencies.length) return;
  latencies.splice(0, latencies.length - SMOOTHED);
  const sorted = [...latencies].sort((one, other) => one - other);
  $("latency").textContent = milliseconds(sorted[sorted.length >> 1]);
}

function milliseconds(value) {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function veil(title, text) {
  $("veil-title").textContent = title;
  $("veil-text").textContent = text;
  $("veil").hidden = false;
}

function askToEnd() {
  if (!role.controls || status === null) return;
  const isBehind = status.ahead > 0;
  $("end-text").textContent = status.step === 0
    ? "There is nothing to save at step 0."
    : `${hello.file} will hold ${status.step} steps with a return of ${status.score}${isBehind ? `, and not the ${status.ahead} that come after` : ""}. Other takes are not kept.`;
  $("end-save").disabled = status.step === 0;
  $("end-dialog").showModal();
}

function isTalking() {
  return document.querySelector("dialog[open]") !== null;
}

function onKeyDown(event) {
  if (hello === null || isTalking()) return;
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key.toLowerCase() === "s" && !event.altKey) { event.preventDefault(); command("save"); }
    return;
  }
  sound.wake();
  const name = nameOf(event);
  if (isTaken(name, document.activeElement)) return;
  const controls = hello.controls;
  const own = {
    [controls.pause]: () => command("pause"),
    [controls.single]: () => command("single"),
    [controls.slower]: () => link.send({ type: "speed", index: (hello.speeds.indexOf(status.speed) + 1) % hello.speeds.length }),
    [controls.save]: () => command("save"),
    [controls.leave]: askToEnd,
    [controls.help]: () => $("help-dialog").showModal(),
  };
  const isGame = hello.allowed.includes(name);
  if (!isGame && !(name in own)) return;
  event.preventDefault();
  if (isGame && role.controls) keys.press(event.code, [name]);
  else if (!isGame && (!event.repeat || name === controls.single)) own[name]();
}

function bindPage() {
  addEventListener("keydown", onKeyDown);
  addEventListener("keyup", (event) => keys.release(event.code));
  addEventListener("blur", leave);
  document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); });
  addEventListener("pointerdown", () => sound.wake());
  $("pause").onclick = () => command("pause");
  $("single").onclick = () => command("single");
  $("save").onclick = () => command("save");
  $("end").onclick = askToEnd;
  $("help").onclick = () => $("help-dialog").showModal();
  $("role").onclick = () => command(role.controls ? "release" : "ask");
  $("sound").onclick = () => { sound.toggle(); showSound(); };
  $("scrub").oninput = ({ target }) => {
    sought = Number(target.value);
    link.send({ type: "seek", step: sought });
  };
  $("scrub").onchange = () => { sought = null; };
  $("end-dialog").onclose = ({ target }) => {
    if (target.returnValue === "save" || target.returnValue === "discard") link.send({ type: "end", save: target.returnValue === "save" });
    target.returnValue = "";
  };
  // After a click the keys are for the game again; who uses the keyboard stays at the button.
  document.body.addEventListener("click", (event) => {
    if (event.detail > 0 && !isTalking() && event.target.closest("button, label, input")) $("stage").focus();
  });
  setInterval(() => link.send({ type: "ping", at: performance.now() }), 2000);
}

function leave() {
  keys.releaseAll();
  if (role.controls) command("rest");
}

function showSound() {
  label("sound", sound.isOn ? "♪" : "×", sound.isOn ? "Sound on" : "Sound off");
}

function label(id, sign, word) {
  const [signs, words] = $(id).children;
  signs.textContent = sign;
  words.textContent = word;
}

bindTheme($("theme"), () => series.draw());
showSound();
bindPage();
// For tests: what was really heard and shown.
window.studio = { sound, screen, series, status: () => status, role: () => role, keys };

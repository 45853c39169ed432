// Return and lives along the run, and their chart behind the scrubber.

const THUMB = 12;
const LANE = 15;
const TOP = 4;

export class Series {
  constructor(canvas) {
    this.canvas = canvas;
    this.returns = [[0, 0]];
    this.lives = [[0, null]];
    this.length = this.position = 0;
    this.isDue = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  setRun({ returns, lives, length }) {
    Object.assign(this, { returns, lives, length });
    this.draw();
  }

  follow({ step, ahead, score, lives }) {
    if (step + ahead > this.length && ahead === 0) {
      extend(this.returns, step, score);
      extend(this.lives, step, lives);
    }
    this.length = step + ahead;
    this.position = step;
    this.draw();
  }

  draw() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => { this.isDue = false; this.paint(); });
  }

  paint() {
    const { canvas } = this;
    const scale = devicePixelRatio || 1;
    const { width, height } = canvas.getBoundingClientRect();
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const style = getComputedStyle(canvas);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const last = Math.max(1, this.length);
    const place = (step) => THUMB / 2 + (step / last) * (width - THUMB);
    this.paintReturn(pen, place, height - LANE - 3, style);
    this.paintLives(pen, place, height - LANE, style);
    if (this.position < this.length) {
      pen.fillStyle = style.getPropertyValue("--panel");
      pen.globalAlpha = 0.6;
      pen.fillRect(place(this.position), 0, width, height);
    }
  }

  paintReturn(pen, place, bottom, style) {
    const values = this.returns.map(([, value]) => value);
    const low = Math.min(0, ...values);
    const high = Math.max(low + 1, ...values);
    const rise = (value) => bottom - ((value - low) / (high - low)) * (bottom - TOP);
    pen.fillStyle = style.getPropertyValue("--raised");
    pen.fillRect(place(0), TOP, place(this.length) - place(0), bottom - TOP);
    pen.beginPath();
    pen.moveTo(place(0), rise(this.returns[0][1]));
    this.returns.forEach(([step, value], at) => {
      pen.lineTo(place(step), rise(at ? this.returns[at - 1][1] : value));
      pen.lineTo(place(step), rise(value));
    });
    pen.lineTo(place(this.length), rise(values.at(-1)));
    pen.strokeStyle = style.getPropertyValue("--accent");
    pen.lineWidth = 2;
    pen.stroke();
    pen.lineTo(place(this.length), bottom);
    pen.lineTo(place(0), bottom);
    pen.fillStyle = style.getPropertyValue("--wash");
    pen.fill();
  }

  paintLives(pen, place, top, style) {
    pen.font = `600 11px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    this.lives.forEach(([step, value], at) => {
      if (value === null) return;
      const left = place(step);
      const right = place(this.lives[at + 1]?.[0] ?? this.length);
      const isDeath = at > 0 && this.lives[at - 1][1] !== null && value < this.lives[at - 1][1];
      pen.fillStyle = style.getPropertyValue("--raised");
      pen.fillRect(left, top, right - left, LANE);
      pen.fillStyle = style.getPropertyValue(isDeath ? "--alarm" : "--quiet");
      pen.fillRect(left, isDeath ? TOP : top, isDeath ? 1.5 : 1, isDeath ? top + LANE - TOP : LANE);
      const text = `${value} ${value === 1 ? "life" : "lives"}`;
      const short = String(value);
      const shown = [text, short].find((word) => pen.measureText(word).width + 9 < right - left);
      pen.fillStyle = style.getPropertyValue("--quiet");
      if (shown) pen.fillText(shown, left + 5, top + LANE / 2 + 1);
    });
  }
}

function extend(points, step, value) {
  if (points.at(-1)[1] !== value) points.push([step, value]);
}

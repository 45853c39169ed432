// The game's sound: unsigned 8-bit mono samples, scheduled one stretch after the other.

const LEAD = 0.06;
const MOST_LEAD = 0.25;
const BLOCKER = 0.995;

export class Sound {
  constructor(rate) {
    this.rate = rate;
    this.isOn = true;
    this.context = null;
    this.next = 0;
    this.before = this.level = 0;
    this.played = 0;
    this.loudest = 0;
  }

  // Browsers let a page sound only after its user has done something.
  wake() {
    if (!this.rate || !this.isOn) return;
    this.context ??= new AudioContext({ sampleRate: this.rate, latencyHint: "interactive" });
    if (this.context.state === "suspended") this.context.resume();
  }

  toggle() {
    this.isOn = !this.isOn;
    if (this.isOn) this.wake();
    else this.context?.suspend();
  }

  play(samples, speed) {
    if (!samples.length || !this.isOn || this.context?.state !== "running") return;
    const { context } = this;
    if (this.next < context.currentTime) this.next = context.currentTime + LEAD;
    if (this.next > context.currentTime + MOST_LEAD) return;
    const buffer = context.createBuffer(1, samples.length, this.rate);
    this.fill(buffer.getChannelData(0), samples);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.playbackRate.value = speed;
    source.connect(context.destination);
    source.start(this.next);
    this.next += samples.length / this.rate / speed;
    this.played += samples.length;
  }

  // Takes constant levels away, which are no sound and would click at their ends.
  fill(out, samples) {
    for (let at = 0; at < samples.length; at++) {
      const now = (samples[at] - 128) / 128;
      this.level = now - this.before + BLOCKER * this.level;
      this.before = now;
      out[at] = Math.max(-1, Math.min(1, this.level));
      this.loudest = Math.max(this.loudest, Math.abs(out[at]));
    }
  }
}

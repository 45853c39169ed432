// The picture: frames are decoded beside the page's work and drawn in order.

export class Screen {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.latest = 0;
    this.drawn = 0;
  }

  // Calls `done` once the picture, or a later one, is on the canvas.
  async show(picture, done) {
    const turn = ++this.latest;
    if (picture.length) {
      const bitmap = await createImageBitmap(new Blob([picture], { type: "image/png" }));
      if (turn > this.drawn) {
        this.drawn = turn;
        this.draw(bitmap);
      }
      bitmap.close();
    }
    done();
  }

  draw(bitmap) {
    const { canvas } = this;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    this.context.drawImage(bitmap, 0, 0);
  }
}

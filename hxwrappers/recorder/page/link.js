// The connection to the server: it is made again whenever it breaks.

const SEAT = "hxw-studio-seat";
const LONGEST_WAIT = 4000;
const decoder = new TextDecoder();

export class Link {
  constructor(handlers) {
    this.handlers = handlers;
    this.isOver = false;
    this.wait = 250;
    this.connect();
  }

  connect() {
    const address = new URL("live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.wait = 250;
      this.send({ type: "hello", seat: sessionStorage.getItem(SEAT) });
    };
    this.socket.onmessage = ({ data }) => this.receive(data);
    this.socket.onclose = (event) => this.closed(event);
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  receive(data) {
    if (typeof data !== "string") {
      this.handlers.frame(unpack(data));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "hello") sessionStorage.setItem(SEAT, message.seat);
    if (message.type === "over") this.isOver = true;
    this.handlers[message.type]?.(message);
  }

  closed(event) {
    if (this.isOver) return;
    if (event.code === 4000) {
      this.handlers.lost("Opened elsewhere", "This page was opened again in another tab.");
      return;
    }
    this.handlers.lost("Connection lost", event.reason || "Trying again. If the server was started anew, open the address that it printed.");
    setTimeout(() => this.connect(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }
}

function unpack(buffer) {
  const view = new DataView(buffer);
  const head = view.getUint32(0, true);
  const sound = view.getUint32(4, true);
  return {
    status: JSON.parse(decoder.decode(new Uint8Array(buffer, 8, head))),
    sound: new Uint8Array(buffer, 8 + head, sound),
    picture: new Uint8Array(buffer, 8 + head + sound),
  };
}

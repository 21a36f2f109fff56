// A small MQTT 5 client over WebSocket: what a page needs to read a feed and to ask for a replay.
//
//   const client = await MqttClient.connect("ws://host/mqtt", { onMessage: async (message) => {} });
//   await client.subscribe(["e/d/b42/#"]);
//   await client.publish("a/b", "hello", { qos: 1, properties: { responseTopic: "c" } });
//
// A message is {topic, payload: Uint8Array, qos, retain, properties}; properties.user is a list of
// [name, value]. QoS 0 and 1 both ways; a message of QoS 1 is acknowledged once onMessage is done
// with it, one after the other, so that a slow page holds the broker back and not the memory.

const kProperties = {
  0x01: ["payloadFormat", "u8"], 0x02: ["messageExpiry", "u32"], 0x03: ["contentType", "text"],
  0x08: ["responseTopic", "text"], 0x09: ["correlationData", "bytes"], 0x0b: ["subscriptionId", "varint"],
  0x11: ["sessionExpiry", "u32"], 0x12: ["assignedClientId", "text"], 0x13: ["serverKeepAlive", "u16"],
  0x15: ["authenticationMethod", "text"], 0x16: ["authenticationData", "bytes"],
  0x17: ["requestProblem", "u8"], 0x18: ["willDelay", "u32"], 0x19: ["requestResponse", "u8"],
  0x1a: ["responseInformation", "text"], 0x1c: ["serverReference", "text"], 0x1f: ["reasonString", "text"],
  0x21: ["receiveMaximum", "u16"], 0x22: ["topicAliasMaximum", "u16"], 0x23: ["topicAlias", "u16"],
  0x24: ["maximumQos", "u8"], 0x25: ["retainAvailable", "u8"], 0x26: ["user", "pair"],
  0x27: ["maximumPacketSize", "u32"], 0x28: ["wildcardAvailable", "u8"],
  0x29: ["subscriptionIdsAvailable", "u8"], 0x2a: ["sharedAvailable", "u8"],
};
const kIdOf = Object.fromEntries(Object.entries(kProperties).map(([id, [name]]) => [name, Number(id)]));
const kType = { connack: 2, publish: 3, puback: 4, suback: 9, pingresp: 13, disconnect: 14 };
const kInFlightMax = 32;  // messages of QoS 1 that the broker may send ahead
const kAnswerMs = 10_000;

const utf8 = new TextEncoder();

class Writer {
  #bytes = [];
  u8(value) { this.#bytes.push(value & 0xff); return this; }
  u16(value) { return this.u8(value >> 8).u8(value); }
  u32(value) { return this.u16(value >>> 16).u16(value & 0xffff); }
  raw(bytes) { for (const byte of bytes) this.#bytes.push(byte); return this; }
  bytes(bytes) { return this.u16(bytes.length).raw(bytes); }
  text(text) { return this.bytes(utf8.encode(text)); }
  pair([name, value]) { return this.text(name).text(value); }
  varint(value) {
    for (; value > 127; value >>= 7) this.u8(0x80 | value);
    return this.u8(value);
  }
  properties(properties) {
    const inner = new Writer();
    for (const [name, value] of Object.entries(properties)) {
      const id = kIdOf[name];
      if (id === undefined) throw new Error(`MQTT has no property ${name}`);
      for (const one of name === "user" ? value : [value]) inner.u8(id)[kProperties[id][1]](one);
    }
    const bytes = inner.done();
    return this.varint(bytes.length).raw(bytes);
  }
  done() { return Uint8Array.from(this.#bytes); }
}

class Reader {
  constructor(bytes) {
    this.all = bytes;
    this.at = 0;
  }
  get left() { return this.all.length - this.at; }
  take(size) {
    if (size > this.left) throw new Error("a packet of the broker is cut short");
    this.at += size;
    return this.all.subarray(this.at - size, this.at);
  }
  u8() { return this.take(1)[0]; }
  u16() { return this.u8() * 0x100 + this.u8(); }
  u32() { return this.u16() * 0x10000 + this.u16(); }
  bytes() { return this.take(this.u16()).slice(); }
  text() { return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.bytes()); }
  pair() { return [this.text(), this.text()]; }
  varint() {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a length of the broker is too long");
  }
  properties() {
    const out = { user: [] };
    const inner = new Reader(this.take(this.varint()));
    while (inner.left > 0) {
      const row = kProperties[inner.u8()];
      if (!row) throw new Error("the broker sent a property that MQTT 5 does not have");
      const value = inner[row[1]]();
      if (row[0] === "user") out.user.push(value);
      else out[row[0]] = value;
    }
    return out;
  }
}

function packet(firstByte, body = new Uint8Array()) {
  return new Writer().u8(firstByte).varint(body.length).raw(body).done();
}

/** The packets of a stream of bytes, which come in pieces of any size. */
class Packets {
  #pending = new Uint8Array();

  /** Yields [first byte, body] of each packet that is whole by now. */
  *add(bytes) {
    const all = new Uint8Array(this.#pending.length + bytes.length);
    all.set(this.#pending);
    all.set(bytes, this.#pending.length);
    const reader = new Reader(all);
    let begin = 0;
    for (;;) {
      const size = Packets.#sizeAt(all, begin);
      if (size === undefined || size > all.length - begin) break;
      reader.at = begin;
      const firstByte = reader.u8();
      yield [firstByte, reader.take(reader.varint())];
      begin += size;
    }
    this.#pending = all.slice(begin);
  }

  /** Bytes of the packet that begins at `begin`, or undefined as long as its header is not there. */
  static #sizeAt(all, begin) {
    for (let i = 1; i <= 4; i += 1) {
      if (begin + i >= all.length) return undefined;
      if (all[begin + i] >= 0x80) continue;
      const reader = new Reader(all);
      reader.at = begin + 1;
      return reader.varint() + 1 + i;
    }
    throw new Error("a length of the broker is too long");
  }
}

export class MqttClient {
  #socket;
  #packets = new Packets();
  #onMessage;
  #onClose = () => {};  // not before it is connected
  #waiting = new Map();  // "puback 7": {done, fail}
  #lastId = 0;
  #turn = Promise.resolve();  // messages are handled one after the other
  #closed = false;
  #keepAlive;
  #heard = true;

  /** Connects with a clean session; throws if the broker refuses. After that `onClose(error)` comes once. */
  static async connect(url, options = {}) {
    const { Socket = globalThis.WebSocket, onMessage = () => {}, onClose = () => {} } = options;
    const client = new MqttClient(new Socket(url, ["mqtt"]), onMessage);
    try {
      await client.#open(options);
    } catch (error) {
      client.#end(error);
      throw error;
    }
    client.#onClose = onClose;
    return client;
  }

  constructor(socket, onMessage) {
    this.#socket = socket;
    this.#onMessage = onMessage;
    socket.binaryType = "arraybuffer";
    socket.onclose = () => this.#end(new Error("the connection is gone"));
    socket.onerror = () => this.#end(new Error("there is no connection"));
    socket.onmessage = ({ data }) => this.#read(data);
  }

  async #open({ clientId = "", user, password, keepAliveSeconds = 30 }) {
    await this.#answer("open", () => { this.#socket.onopen = () => this.#settle("open", {}); });
    const flags = 0x02 | (user === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
    const body = new Writer().text("MQTT").u8(5).u8(flags).u16(keepAliveSeconds)
      .properties({ receiveMaximum: kInFlightMax }).text(clientId);
    if (user !== undefined) body.text(user);
    if (password !== undefined) body.text(password);
    const { properties } = await this.#answer("connack", () => this.#send(0x10, body.done()));
    const seconds = properties.serverKeepAlive ?? keepAliveSeconds;
    if (seconds > 0) this.#keepAlive = setInterval(() => this.#ping(), seconds * 500);
  }

  /** Subscribes with QoS 1; throws if the broker refuses one of the filters. */
  async subscribe(filters) {
    const id = this.#nextId();
    const body = new Writer().u16(id).properties({});
    for (const filter of filters) body.text(filter).u8(0x01);
    const { reasons } = await this.#answer(`suback ${id}`, () => this.#send(0x82, body.done()));
    const refused = filters.filter((_, i) => reasons[i] >= 0x80);
    if (refused.length > 0) throw new Error(`the broker refuses ${refused.join(", ")}`);
  }

  /** Resolves for QoS 1 with the broker's reason code: 0, or 16 if nobody is subscribed. */
  async publish(topic, payload, { qos = 0, retain = false, properties = {} } = {}) {
    const bytes = typeof payload === "string" ? utf8.encode(payload) : payload;
    const body = new Writer().text(topic);
    const id = qos > 0 ? this.#nextId() : 0;
    if (qos > 0) body.u16(id);
    body.properties(properties).raw(bytes);
    const send = () => this.#send(0x30 | (qos << 1) | (retain ? 1 : 0), body.done());
    if (qos === 0) return send();
    const { reason } = await this.#answer(`puback ${id}`, send);
    if (reason >= 0x80) throw new Error(`the broker refuses ${topic}: 0x${reason.toString(16)}`);
    return reason;
  }

  close() {
    if (this.#closed) return;
    this.#send(0xe0);
    this.#end(new Error("closed"));
  }

  #nextId() {
    do {
      this.#lastId = this.#lastId % 0xffff + 1;
    } while (this.#waiting.has(`puback ${this.#lastId}`) || this.#waiting.has(`suback ${this.#lastId}`));
    return this.#lastId;
  }

  /** Does `begin` and waits for what it leads to. */
  #answer(name, begin) {
    return new Promise((done, fail) => {
      if (this.#closed) return fail(new Error("the connection is gone"));
      const timer = setTimeout(() => this.#end(new Error(`the broker is silent (${name})`)), kAnswerMs);
      this.#waiting.set(name, {
        done: (value) => { clearTimeout(timer); done(value); },
        fail: (error) => { clearTimeout(timer); fail(error); },
      });
      begin();
    });
  }

  #settle(name, value) {
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    waiting?.done(value);
  }

  #send(firstByte, body) {
    if (!this.#closed) this.#socket.send(packet(firstByte, body));
  }

  /** Twice in a keep-alive: a ping, and the end if nothing has come since the last one. */
  #ping() {
    if (!this.#heard) return this.#end(new Error("the broker is silent"));
    this.#heard = false;
    this.#send(0xc0);
  }

  #read(data) {
    this.#heard = true;
    try {
      for (const [firstByte, body] of this.#packets.add(new Uint8Array(data))) {
        this.#take(firstByte, new Reader(body));
      }
    } catch (error) {
      this.#end(error);
    }
  }

  #take(firstByte, reader) {
    switch (firstByte >> 4) {
      case kType.connack: return this.#takeConnack(reader);
      case kType.publish: return this.#takePublish(firstByte, reader);
      case kType.puback: {
        const id = reader.u16();
        return this.#settle(`puback ${id}`, { reason: reader.left > 0 ? reader.u8() : 0 });
      }
      case kType.suback: {
        const id = reader.u16();
        reader.properties();
        return this.#settle(`suback ${id}`, { reasons: [...reader.take(reader.left)] });
      }
      case kType.pingresp: return undefined;
      case kType.disconnect: {
        const reason = reader.left > 0 ? reader.u8() : 0;
        throw new Error(`the broker ends the connection: 0x${reason.toString(16)}`);
      }
      default: throw new Error("the broker sent a packet that nobody asked for");
    }
  }

  #takeConnack(reader) {
    reader.u8();  // session present: never, with a clean start
    const reason = reader.u8();
    const properties = reader.properties();
    if (reason >= 0x80) throw new Error(`the broker refuses the connection: 0x${reason.toString(16)}`);
    this.#settle("connack", { properties });
  }

  #takePublish(firstByte, reader) {
    const qos = (firstByte >> 1) & 3;
    const topic = reader.text();
    const id = qos > 0 ? reader.u16() : 0;
    const properties = reader.properties();
    const payload = reader.take(reader.left).slice();
    const message = { topic, payload, qos, retain: (firstByte & 1) === 1, properties };
    this.#turn = this.#turn.then(async () => {
      if (this.#closed) return;
      await this.#onMessage(message);
      if (qos === 1) this.#send(0x40, new Writer().u16(id).done());
    }).catch((error) => this.#end(error));
  }

  #end(error) {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#keepAlive);
    this.#socket.onmessage = this.#socket.onclose = this.#socket.onerror = null;
    this.#socket.close();
    for (const waiting of this.#waiting.values()) waiting.fail(error);
    this.#waiting.clear();
    this.#onClose(error);
  }
}

/**
 * HTTP/1.1 answers out of bytes that come in any pieces (RFC 9112). Strict: what two readers could
 * understand differently is refused, for our only peers are Docker and podman, both Go's net/http.
 * @module
 */

/** Bytes of a status line with its header fields, and of a chunked body's trailers. */
export const MAX_HEAD_BYTES = 64 << 10;
/** Bytes of the line before a chunk: its size and extensions. */
export const MAX_CHUNK_LINE_BYTES = 256;

/** An answer that is not HTTP/1.1, or not the whole of one. */
export class BadResponse extends Error {
  /** The class. */
  override readonly name = "BadResponse";

  constructor(
    sentence: string,
    /** The connection ended too early; what had come was well formed. */
    readonly early = false,
  ) {
    super(sentence);
  }
}

/** What comes before the body. */
export interface Head {
  /** 101 or 200 to 599. */
  status: number;
  /** Names in lower case; values of a repeated name joined by ", " (RFC 9110 section 5.3). */
  headers: ReadonlyMap<string, string>;
}

/** First one head, then bodies that are never empty, then one end. */
export type Part =
  | { type: "head"; head: Head }
  | { type: "body"; bytes: Uint8Array }
  | { type: "end" };

/** What the next byte belongs to. */
type State =
  | "status"
  | "fields"
  | "length"
  | "close"
  | "size"
  | "data"
  | "after data"
  | "trailers"
  | "done"
  | "broken";

const CR = 0x0d;
const LF = 0x0a;

// RFC 9112 section 4; the reason phrase is HTAB / SP / VCHAR / obs-text.
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d) [\t\x20-\x7e\x80-\xff]*$/;
// RFC 9112 section 5; a name is a token, with nothing between it and the colon (section 5.1). The
// blanks around the value are taken off afterwards: a pattern for them takes a long value's square.
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/;
// RFC 9112 section 7.1; extensions are skipped (section 7.1.1).
const CHUNK_LINE = /^([0-9A-Fa-f]+)(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/;

/**
 * Decodes one answer to a GET, POST, PUT or DELETE; interim answers are skipped. Holds at most one
 * line of what it was given.
 *
 * ```ts
 * import { ResponseDecoder } from "./http.ts";
 * import { assertEquals } from "@std/assert";
 * const decoder = new ResponseDecoder();
 * const bytes = new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
 * const parts = [...decoder.push(bytes)];
 * assertEquals(parts.map(({ type }) => type), ["head", "body", "end"]);
 * ```
 */
export class ResponseDecoder {
  #state: State = "status";
  #line = "";
  #lineEnds = false;
  /** Of the head or the trailers so far. */
  #headBytes = 0;
  #minor = "1";
  #status = 0;
  #headers = new Map<string, string>();
  /** Bytes that the body or the chunk still lacks. */
  #left = 0;

  /**
   * Takes the next bytes and gives the parts that they complete; bodies are views of `bytes`. Must be
   * iterated to its end, or never called again.
   * @throws {BadResponse} and at each later call, too
   */
  *push(bytes: Uint8Array): Generator<Part> {
    try {
      for (let at = 0; at < bytes.length;) {
        switch (this.#state) {
          case "length":
          case "data": {
            const piece = bytes.subarray(at, at + this.#left);
            at += piece.length;
            this.#left -= piece.length;
            yield { type: "body", bytes: piece };
            if (this.#left > 0) break;
            if (this.#state === "data") this.#state = "after data";
            else yield this.#done();
            break;
          }
          case "close":
            yield { type: "body", bytes: bytes.subarray(at) };
            return;
          case "done":
            throw new BadResponse("there is more after the answer's end");
          case "broken":
            throw new BadResponse("the answer was malformed before");
          default: {
            const line = this.#take(bytes[at++] as number);
            if (line !== undefined) yield* this.#onLine(line);
          }
        }
      }
    } catch (error) {
      this.#state = "broken";
      throw error;
    }
  }

  /**
   * Says that no more bytes come. That ends a body without a length, and must otherwise be after the
   * answer's end (RFC 9112 section 8).
   * @throws {BadResponse} if the answer is not whole
   */
  *finish(): Generator<Part> {
    if (this.#state === "close") yield this.#done();
    if (this.#state === "done") return;
    const begun = this.#state !== "status" || this.#headBytes > 0;
    this.#state = "broken";
    throw new BadResponse(
      begun ? "the connection ended within the answer" : "the connection ended without an answer",
      true,
    );
  }

  #done(): Part {
    this.#state = "done";
    return { type: "end" };
  }

  /** Adds a byte to the line; gives the line, without CRLF, when that was its last. */
  #take(byte: number): string | undefined {
    if (this.#lineEnds !== (byte === LF)) {
      // RFC 9112 section 2.2 lets a bare LF pass and forbids a bare CR; Go sends neither.
      throw new BadResponse("a line does not end with CR LF");
    }
    if (this.#lineEnds) {
      const line = this.#line;
      this.#line = "";
      this.#lineEnds = false;
      return line;
    }
    if (byte === CR) {
      this.#lineEnds = true;
      return;
    }
    if (this.#state === "after data") {
      throw new BadResponse("a chunk is longer than its size says");
    }
    if (this.#state === "size") {
      if (this.#line.length >= MAX_CHUNK_LINE_BYTES) {
        throw new BadResponse(`a chunk's size line has over ${MAX_CHUNK_LINE_BYTES} bytes`);
      }
    } else if (++this.#headBytes > MAX_HEAD_BYTES) {
      throw new BadResponse(`header fields of over ${MAX_HEAD_BYTES} bytes`);
    }
    this.#line += String.fromCharCode(byte);
  }

  *#onLine(line: string): Generator<Part> {
    switch (this.#state) {
      case "status": {
        const match = STATUS_LINE.exec(line);
        if (!match) throw new BadResponse("the first line is no status line of HTTP/1.1");
        this.#minor = match[1] as string;
        this.#status = Number(match[2]);
        this.#headers = new Map();
        this.#state = "fields";
        return;
      }
      case "fields":
        if (line !== "") return this.#onField(line, this.#headers);
        // RFC 9110 section 15.2: any number of interim answers may come first. MAX_HEAD_BYTES counts
        // them all. 101 is the last that is HTTP.
        if (this.#status < 200 && this.#status !== 101) {
          this.#state = "status";
          return;
        }
        this.#state = this.#framing();
        yield { type: "head", head: { status: this.#status, headers: this.#headers } };
        if (this.#state === "done") yield this.#done();
        return;
      case "size": {
        const size = CHUNK_LINE.exec(line)?.[1];
        this.#left = parseInt(size ?? "", 16);
        if (!Number.isSafeInteger(this.#left)) {
          throw new BadResponse("a chunk without a valid size");
        }
        this.#state = this.#left > 0 ? "data" : "trailers";
        this.#headBytes = 0;
        return;
      }
      case "after data":
        this.#state = "size";
        return;
      case "trailers":
        if (line !== "") this.#onField(line, new Map());
        else yield this.#done();
    }
  }

  #onField(line: string, headers: Map<string, string>): void {
    // RFC 9112 section 5.2: a line that goes on with the one before (obs-fold) begins with a space.
    const match = FIELD_LINE.exec(line);
    if (!match) throw new BadResponse("a malformed header field");
    const name = (match[1] as string).toLowerCase();
    const value = withoutBlanks(match[2] as string);
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }

  /** How long the body is: RFC 9112 section 6.3, in its order, but nothing doubtful is let pass. */
  #framing(): State {
    const coding = this.#headers.get("transfer-encoding");
    const length = this.#headers.get("content-length");
    if (coding !== undefined) {
      if (length !== undefined) throw new BadResponse("both Transfer-Encoding and Content-Length");
      if (coding.toLowerCase() !== "chunked") {
        throw new BadResponse("a transfer coding not chunked");
      }
      if (this.#minor === "0") throw new BadResponse("Transfer-Encoding in HTTP/1.0");
    }
    // Repeated lengths, even equal ones, are a list here and no number.
    if (length !== undefined && !(/^\d+$/.test(length) && Number.isSafeInteger(Number(length)))) {
      throw new BadResponse("an invalid Content-Length");
    }
    if (this.#status === 204 || this.#status === 304) return "done";
    // What follows is the other protocol's.
    if (this.#status === 101) return "close";
    if (coding !== undefined) return "size";
    if (length === undefined) return "close";
    this.#left = Number(length);
    return this.#left > 0 ? "length" : "done";
  }
}

/** A text without the spaces and tabs at its ends; trim() would take U+00A0 off, too. */
function withoutBlanks(text: string): string {
  const isBlank = (letter: string | undefined) => letter === " " || letter === "\t";
  let [from, to] = [0, text.length];
  while (isBlank(text[from])) from++;
  while (to > from && isBlank(text[to - 1])) to--;
  return text.slice(from, to);
}

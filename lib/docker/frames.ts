/**
 * The frames that keep a container's output streams apart (Engine API 1.41, "ContainerAttach", stream
 * format): stream number, three zeros, length as 32 bits big endian, then so many bytes.
 * @module
 */

/** Docker cuts at 16 KiB, podman at 8 KiB; a longer frame means that this is no frame. */
export const MAX_FRAME_BYTES = 1 << 20;
const HEADER_BYTES = 8;

/** Output that is not framed. */
export class BadFrame extends Error {
  /** The class. */
  override readonly name = "BadFrame";
}

/** Some output of one stream. */
export interface Frame {
  /** 0 stdin, 1 stdout, 2 stderr, 3 what the engine itself has to say (moby `stdcopy.Systemerr`). */
  stream: 0 | 1 | 2 | 3;
  /** May be empty. */
  bytes: Uint8Array;
}

/** Decodes frames out of bytes that come in any pieces. Holds at most one frame. */
export class FrameDecoder {
  readonly #header = new Uint8Array(HEADER_BYTES);
  #stream: Frame["stream"] = 0;
  #frame?: Uint8Array;
  /** Bytes of the header, or of the frame, that are there. */
  #have = 0;

  /** Whether the bytes so far end with a frame's end. */
  get whole(): boolean {
    return this.#frame === undefined && this.#have === 0;
  }

  /**
   * Takes the next bytes and gives the frames that they complete. Must be iterated to its end.
   * @throws {BadFrame}
   */
  *push(bytes: Uint8Array): Generator<Frame> {
    for (let at = 0; at < bytes.length;) {
      const into = this.#frame ?? this.#header;
      const piece = bytes.subarray(at, at + into.length - this.#have);
      into.set(piece, this.#have);
      this.#have += piece.length;
      at += piece.length;
      if (this.#have === into.length && !this.#frame) this.#onHeader();
      if (this.#frame && this.#have === this.#frame.length) {
        const frame = { stream: this.#stream, bytes: this.#frame };
        this.#frame = undefined;
        this.#have = 0;
        yield frame;
      }
    }
  }

  #onHeader(): void {
    const view = new DataView(this.#header.buffer);
    const stream = view.getUint8(0);
    const length = view.getUint32(4);
    const zeros = view.getUint32(0) & 0xffffff;
    if ((stream !== 0 && stream !== 1 && stream !== 2 && stream !== 3) || zeros !== 0) {
      throw new BadFrame("output without frames, as of a container with a terminal");
    }
    if (length > MAX_FRAME_BYTES) throw new BadFrame(`a frame of ${length} bytes`);
    this.#stream = stream;
    this.#frame = new Uint8Array(length);
    this.#have = 0;
  }
}

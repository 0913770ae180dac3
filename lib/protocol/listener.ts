/**
 * A listening socket that never runs out of file descriptors.
 * @module
 */
import net from "node:net";
import { Endpoint } from "./endpoint.ts";

/** Before an address that is taken for a moment is tried again. */
const AGAIN_MS = 100;

/**
 * Accepts, and pauses while too many sockets are open: an accept loop of node:net that runs out of
 * descriptors stops for good, without an error (Deno 2.9.3), and a socket that is closed at once has
 * its descriptor till the end of its turn all the same.
 */
export class Listener {
  readonly #most: () => number;
  readonly #onSocket: (socket: net.Socket) => void;
  #server?: net.Server;
  #address?: Endpoint;
  #isResuming = false;
  #isClosed = false;
  /** Those that have a descriptor. */
  #sockets = 0;

  /** @param most sockets at once; asked each time, for settings may change */
  constructor(most: () => number, onSocket: (socket: net.Socket) => void) {
    this.#most = most;
    this.#onSocket = onSocket;
  }

  /** Listens; answers where. Rejects with the system's error. */
  async listen({ host, port }: Endpoint): Promise<Endpoint> {
    this.#server = await this.#listening(host, port);
    this.#address = new Endpoint(host, (this.#server.address() as net.AddressInfo).port);
    return this.#address;
  }

  /** Accepts no more; sockets stay. */
  close(): void {
    this.#isClosed = true;
    this.#pause();
  }

  #accept(socket: net.Socket): void {
    // An error is followed by its end.
    socket.on("error", () => {});
    this.#sockets++;
    socket.once("close", () => {
      this.#sockets--;
      if (this.#sockets < this.#most()) this.#resume();
    });
    if (this.#sockets >= this.#most()) this.#pause();
    this.#onSocket(socket);
  }

  #pause(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  async #resume(): Promise<void> {
    if (this.#server || this.#isClosed || this.#isResuming || !this.#address) return;
    this.#isResuming = true;
    const { host, port } = this.#address;
    while (!this.#isClosed && !this.#server) {
      try {
        this.#server = await this.#listening(host, port);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
    this.#isResuming = false;
    if (this.#isClosed) this.#pause();
  }

  #listening(host: string, port: number): Promise<net.Server> {
    // node:http2 sets TCP_NODELAY itself on connections that it accepts, and these are accepted here.
    const server = net.createServer({ noDelay: true }, (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.off("error", reject);
        resolve(server);
      });
    });
  }
}

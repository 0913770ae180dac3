/**
 * What runs for a session on a node of Janus': HAProxy, with its configuration in the shared folder.
 * @module
 */
import { haproxy } from "../../haproxy.ts";
import { proxyProgram } from "../proxy_program.ts";
import type { Program } from "../program.ts";

/** Where HAProxy writes: in memory, and there in each container of Docker's, whoever is its user. */
const RUN = "/dev/shm";

/** HAProxy. Its path is the shared folder's in the container, which is put before it later. */
export const janusProgram: Program = {
  ...proxyProgram(haproxy),
  // Janus cannot say whose a container is that listens on the same port.
  sharesPorts: false,
  config({ role, channels, limits }) {
    const paths = { config: "", run: RUN };
    const { name, text } = haproxy.config({ role, channels, limits, paths, sharesPorts: false });
    return { path: `/${name}`, text };
  },
};

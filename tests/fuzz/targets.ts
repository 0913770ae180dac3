/**
 * Everything in the project that takes bytes or text from outside.
 * @module
 */
import type { Target } from "./target.ts";
import { authTargets } from "./targets/auth.ts";
import { cliTargets } from "./targets/cli.ts";
import { dockerTargets } from "./targets/docker.ts";
import { dockerStreamTargets } from "./targets/docker_streams.ts";
import { providerTargets } from "./targets/provider.ts";
import { proxyTargets } from "./targets/proxies.ts";
import { s2dsTargets } from "./targets/s2ds.ts";
import { storeTargets } from "./targets/stores.ts";
import { valueTargets } from "./targets/values.ts";

/** All targets. */
export const TARGETS: readonly Target[] = [
  ...valueTargets,
  ...cliTargets,
  ...dockerTargets,
  ...dockerStreamTargets,
  ...s2dsTargets,
  ...proxyTargets,
  ...authTargets,
  ...providerTargets,
  ...storeTargets,
];

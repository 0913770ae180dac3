/**
 * What a control server tells anybody, within bounds of its own: whoever has no token takes nothing
 * from those who have one.
 * @module
 */
import { addressOf } from "../protocol/address.ts";
import type { PublicMethod, PublicService } from "../protocol/public_service.ts";
import { CallGuard, type CallLimits } from "./call_limits.ts";
import type { Health } from "./health.ts";
import { reflectionServices } from "./reflection.ts";
import type { Refusals } from "./refusals.ts";

/**
 * Bounds of one address, and of all. A connection with a call under way is never ended for others, so
 * only so many may be held by streams that need no token.
 */
const LIMITS: CallLimits = {
  callRate: 100,
  callRateInAll: 1000,
  pendingPerCaller: 8,
  pending: 128,
  badTokenRate: 0,
};

/** Health, and reflection if that is wanted. */
export function publicServices(
  health: Health,
  hasReflection: boolean,
  refusals: Refusals,
): PublicService[] {
  const guard = new CallGuard(LIMITS, refusals);
  const bounded = (method: PublicMethod): PublicMethod =>
    async function* (messages, caller) {
      const address = addressOf(caller.peer);
      const answered = guard.admit(address, address);
      try {
        yield* method(counted(messages, () => guard.more(address)), caller);
      } finally {
        answered();
      }
    };
  const services = [health.service(), ...hasReflection ? reflectionServices() : []];
  return services.map(({ definition, methods }) => ({
    definition,
    methods: Object.fromEntries(
      Object.entries(methods).map(([name, method]) => [name, bounded(method)]),
    ),
  }));
}

/** Each message but the first, which came with the call, is as much work as a call. */
async function* counted(messages: AsyncIterable<unknown>, more: () => void) {
  let isFirst = true;
  for await (const message of messages) {
    if (!isFirst) more();
    isFirst = false;
    yield message;
  }
}

import { assertEquals } from "@std/assert";
import { type Event, next, type State, STATES } from "./state.ts";

const EVENTS: Event[] = [
  "listen",
  "hello",
  "update",
  "release",
  "drained",
  "fault",
  "cancel",
  "expire",
];

// Written out on its own: a wrong entry in the table must not agree with itself.
const EXPECTED: Record<string, State> = {
  "reserved listen": "waiting",
  "reserved fault": "failed",
  "reserved cancel": "failed",
  "reserved release": "draining",
  "waiting hello": "ready",
  "waiting expire": "expired",
  "waiting cancel": "failed",
  "waiting fault": "failed",
  "waiting release": "draining",
  "ready hello": "ready",
  "ready update": "streaming",
  "ready expire": "expired",
  "ready fault": "failed",
  "ready release": "draining",
  "streaming hello": "streaming",
  "streaming update": "streaming",
  "streaming fault": "failed",
  "streaming release": "draining",
  "draining drained": "released",
  "draining fault": "draining",
  "draining release": "draining",
  "failed release": "draining",
  "failed fault": "failed",
};

Deno.test("every event in every state leads where it should, or nowhere", () => {
  for (const state of STATES) {
    for (const event of EVENTS) {
      assertEquals(next(state, event), EXPECTED[`${state} ${event}`], `${state} ${event}`);
    }
  }
});

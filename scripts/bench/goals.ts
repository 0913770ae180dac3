/**
 * What is to be reached, and whether a run reached it: shown, never asserted, for the machine may be
 * busy.
 * @module
 */
import { aligned, short } from "./result.ts";

/** A goal, and what was seen. */
export interface Goal {
  /** What was measured, with its unit. */
  measure: string;
  goal: string;
  seen: string;
  /** Undefined where it could not be measured. */
  met?: boolean;
}

/** A ratio that is asked for. */
export interface Ratio {
  measure: string;
  /** Whose value stands over whose. */
  ours: string;
  theirs: string;
  /** Where more is better. */
  least?: number;
  /** Where less is better. */
  most?: number;
}

/** Whether the ratio holds; `valueOf` answers undefined for what was not measured. */
export function ratioGoal(wanted: Ratio, valueOf: (name: string) => number | undefined): Goal {
  const { measure, ours, theirs, least, most } = wanted;
  const bound = least === undefined ? `≤ ${most?.toFixed(1)}` : `≥ ${least.toFixed(1)}`;
  const goal = `${bound}× ${theirs}`;
  const [a, b] = [valueOf(ours), valueOf(theirs)];
  if (a === undefined || b === undefined) return { measure, goal, seen: "not measured" };
  const ratio = a / b;
  return {
    measure,
    goal,
    seen: `${ratio.toFixed(2)}× (${short(a)} / ${short(b)})`,
    met: ratio >= (least ?? 0) && ratio <= (most ?? Infinity),
  };
}

/** Whether a value is small enough. */
export function atMost(
  measure: string,
  value: number | undefined,
  most: number,
  unit: string,
): Goal {
  const goal = `≤ ${most} ${unit}`;
  if (value === undefined) return { measure, goal, seen: "not measured" };
  return { measure, goal, seen: `${short(value)} ${unit}`, met: value <= most };
}

/** One word for people. */
export function verdict({ met }: Goal): string {
  return met === undefined ? "-" : met ? "met" : "MISSED";
}

/** All goals for people: measure, goal, what was seen, whether it is met. */
export function goalLines(goals: readonly Goal[]): string[] {
  const head = ["measure", "goal", "seen", ""];
  const rows = goals.map((each) => [each.measure, each.goal, each.seen, verdict(each)]);
  const met = goals.filter((each) => each.met).length;
  return [`Goals: ${met} of ${goals.length} met`, ...aligned([head, ...rows], () => "left"), ""];
}

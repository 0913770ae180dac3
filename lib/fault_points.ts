/**
 * Points between the steps of a control server at which a test can kill it, to see that the next one
 * finishes or undoes what was half done.
 * @module
 */

/** In the order in which a session meets them. */
export const FAULT_POINTS = [
  /** Recorded; nothing is held yet. */
  "req.recorded",
  /** Its proxy's files are there; it does not run yet. */
  "req.prepared",
  /** The data server listens; which ports is not recorded yet. */
  "req.opened",
  /** Recorded with its ports. */
  "req.listening",
  /** Its hello has come; the request is not answered yet. */
  "req.answering",
  /** The application's addresses are there; not recorded yet. */
  "hello.taken",
  /** Recorded; neither hello nor request are answered yet. */
  "hello.recorded",
  /** The new targets are recorded; the data server does not know. */
  "update.recorded",
  /** The proxy's new configuration is in place; it has not taken it yet. */
  "update.prepared",
  /** The data server forwards to the new targets; the session's state is the old one. */
  "update.applied",
  /** Recorded; not answered yet. */
  "update.done",
  /** Recorded as ending; everything runs yet. */
  "release.recorded",
  /** The proxy has ended; its files are there yet. */
  "release.ended",
  /** The data server holds nothing; the record is there yet. */
  "release.closed",
  /** All is gone; not answered yet. */
  "release.done",
  /** The file was damaged; of the sessions that run one is in the new file. */
  "recovery.rebuilding",
  /** The records are read; what runs is not looked at yet. */
  "recovery.read",
  /** One session's proxy is taken over. */
  "recovery.adopted",
  /** All that runs is taken over; no call is served yet. */
  "recovery.done",
] as const;

/** Name of a point. */
export type FaultPoint = typeof FAULT_POINTS[number];

let armed: string | undefined;
let left = 0;

/**
 * From now on this process dies at this point, as kill -9 would end it: `POINT`, or `POINT:N` for when
 * it is there for the Nth time.
 * @throws {RangeError} for a point that there is not
 */
export function arm(text: string): void {
  const [point = "", times = "1"] = text.split(":");
  if (!(FAULT_POINTS as readonly string[]).includes(point) || !/^[1-9][0-9]?$/.test(times)) {
    throw new RangeError(`no fault point ${text}; there are ${FAULT_POINTS.join(", ")}`);
  }
  armed = point;
  left = Number(times);
}

/** The process is at this point. */
export function reach(point: FaultPoint): void {
  if (point !== armed || --left > 0) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`fault point ${point}\n`));
  Deno.kill(Deno.pid, "SIGKILL");
}

import type { Group } from "../../lib/cli/command.ts";
import create from "./create.ts";
import { iperfClient, iperfServer } from "./iperf.ts";
import mock from "./mock.ts";
import run from "./run.ts";
import { runProducer, subscribe } from "./zmq.ts";

const group: Group = {
  name: "appctrl",
  summary: "Application controller: say hello for an application, and run it",
  program: true,
  commands: [mock, create, run, iperfServer, iperfClient, runProducer, subscribe],
};
export default group;

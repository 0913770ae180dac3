import type { Group } from "../../lib/cli/command.ts";
import checkStatus from "./check_status.ts";
import connect from "./connect.ts";
import consReq from "./cons_req.ts";
import inboundRequest from "./inbound_request.ts";
import list from "./list.ts";
import outboundRequest from "./outbound_request.ts";
import prodReq from "./prod_req.ts";
import release from "./release.ts";
import update from "./update.ts";

const group: Group = {
  name: "s2uc",
  summary: "User client: ask for sessions, watch and release them",
  commands: [
    prodReq,
    consReq,
    inboundRequest,
    outboundRequest,
    connect,
    update,
    release,
    checkStatus,
    list,
  ],
};
export default group;

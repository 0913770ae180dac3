import type { Group } from "../../lib/cli/command.ts";
import checkAuth from "./check_auth.ts";
import checkStatus from "./check_status.ts";
import connect from "./connect.ts";
import consReq from "./cons_req.ts";
import createScope from "./create_scope.ts";
import inboundRequest from "./inbound_request.ts";
import list from "./list.ts";
import login from "./login.ts";
import logout from "./logout.ts";
import outboundRequest from "./outbound_request.ts";
import prodReq from "./prod_req.ts";
import release from "./release.ts";
import update from "./update.ts";
import watch from "./watch.ts";

const group: Group = {
  name: "s2uc",
  summary: "User client: ask for sessions, watch and release them",
  program: true,
  files: [{ name: "tokens.json", help: "your logins, for you alone to read" }],
  commands: [
    prodReq,
    consReq,
    inboundRequest,
    outboundRequest,
    connect,
    update,
    release,
    checkStatus,
    watch,
    list,
    login,
    logout,
    checkAuth,
    createScope,
  ],
};
export default group;

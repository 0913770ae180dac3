/**
 * Swarm mode's answers as {@link ./swarm_types.ts} has them.
 * @module
 */
import type { Shape } from "./shape.ts";
import type { Service, SwarmFile, SwarmInfo, SwarmNode, Task } from "./swarm_types.ts";

/** Of `GET /info`. */
export function readSwarmInfo(answer: Shape): SwarmInfo {
  const swarm = answer.part("Swarm");
  return {
    NodeID: swarm.text("NodeID", ""),
    NodeAddr: swarm.text("NodeAddr", ""),
    LocalNodeState: swarm.text("LocalNodeState"),
    ControlAvailable: swarm.flag("ControlAvailable", false),
    Error: swarm.text("Error", ""),
    ClusterID: swarm.partIfAny("Cluster")?.text("ID", "") ?? "",
  };
}

/** Of each of `GET /nodes`. */
export function readNode(answer: Shape): SwarmNode {
  const spec = answer.part("Spec");
  const status = answer.part("Status");
  const manager = answer.partIfAny("ManagerStatus");
  // A node that has just joined has not said yet.
  const description = answer.partIfAny("Description");
  return {
    ID: answer.text("ID"),
    Spec: {
      Labels: spec.map("Labels"),
      Role: spec.text("Role"),
      Availability: spec.text("Availability"),
    },
    Description: {
      Hostname: description?.text("Hostname", "") ?? "",
      Architecture: description?.partIfAny("Platform")?.text("Architecture", "") ?? "",
    },
    Status: {
      State: status.text("State"),
      Message: status.text("Message", ""),
      Addr: status.text("Addr", ""),
    },
    ManagerStatus: manager && {
      Leader: manager.flag("Leader", false),
      Reachability: manager.text("Reachability", ""),
      Addr: manager.text("Addr", ""),
    },
  };
}

/** Of `GET /services/{id}`, and of each of `GET /services`. */
export function readService(answer: Shape): Service {
  const spec = answer.part("Spec");
  const update = answer.partIfAny("UpdateStatus");
  // Of a global service there is none, and one without tasks says nothing of 0.
  const replicated = spec.partIfAny("Mode")?.partIfAny("Replicated");
  return {
    ID: answer.text("ID"),
    Version: { Index: answer.part("Version").number("Index") },
    CreatedAt: answer.text("CreatedAt", ""),
    UpdatedAt: answer.text("UpdatedAt", ""),
    Spec: {
      Name: spec.text("Name"),
      Labels: spec.map("Labels"),
      Mode: { Replicated: { Replicas: replicated?.number("Replicas", 0) ?? 0 } },
    },
    RawSpec: answer.raw("Spec") ?? {},
    UpdateStatus: update && {
      State: update.text("State", ""),
      Message: update.text("Message", ""),
    },
  };
}

/** Of each of `GET /tasks`. */
export function readTask(answer: Shape): Task {
  const status = answer.part("Status");
  const container = status.partIfAny("ContainerStatus");
  return {
    ID: answer.text("ID"),
    ServiceID: answer.text("ServiceID", ""),
    NodeID: answer.text("NodeID", ""),
    Slot: answer.number("Slot", 0),
    Labels: answer.partIfAny("Spec")?.partIfAny("ContainerSpec")?.map("Labels") ?? {},
    CreatedAt: answer.text("CreatedAt", ""),
    DesiredState: answer.text("DesiredState"),
    Status: {
      State: status.text("State"),
      Timestamp: status.text("Timestamp", ""),
      Message: status.text("Message", ""),
      Err: status.text("Err", ""),
      ContainerStatus: container && {
        ContainerID: container.text("ContainerID", ""),
        PID: container.number("PID", 0),
        ExitCode: container.number("ExitCode", 0),
      },
    },
  };
}

/** Of each of `GET /configs` and `GET /secrets`. */
export function readSwarmFile(answer: Shape): SwarmFile {
  const spec = answer.part("Spec");
  return {
    ID: answer.text("ID"),
    Name: spec.text("Name"),
    Labels: spec.map("Labels"),
    CreatedAt: answer.text("CreatedAt", ""),
  };
}

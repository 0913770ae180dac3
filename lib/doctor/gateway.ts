/**
 * All checks of this machine as a gateway.
 * @module
 */
import { messageOf } from "../protocol/errors.ts";
import { certificateChecks, type CertificateSettings, secretCheck } from "./certificate.ts";
import { type Check, failed, ok } from "./check.ts";
import { dataServerChecks, type DataServerSettings } from "./data_server.ts";
import { kernelChecks } from "./kernel.ts";
import { portChecks, type PortSettings } from "./ports.ts";
import { providerCheck, type ProviderSettings } from "./provider.ts";
import { stateCheck } from "./state.ts";
import { clockCheck, firewallCheck, runtimeCheck, systemdCheck } from "./system.ts";

/** What a control server would be started with. */
export interface GatewaySettings
  extends CertificateSettings, PortSettings, DataServerSettings, ProviderSettings {
  clientSecretFile?: string;
  stateDir: string;
  /** The configuration file that was read, if one was. */
  file?: string;
  /** Throws where the settings do not go together. */
  agree(): void;
}

/** In the order in which they are told. */
export function gatewayChecks(settings: GatewaySettings): Check[] {
  return [
    runtimeCheck(),
    { name: "configuration", look: () => Promise.resolve(configuration(settings)) },
    ...certificateChecks(settings),
    secretCheck(settings.clientSecretFile),
    providerCheck(settings),
    ...portChecks(settings),
    stateCheck(settings.stateDir),
    ...dataServerChecks(settings),
    clockCheck,
    ...kernelChecks(settings),
    firewallCheck(settings.port, String(settings.portRange)),
    systemdCheck,
  ];
}

function configuration({ file, agree }: GatewaySettings) {
  try {
    agree();
  } catch (error) {
    return failed(new Error(`${messageOf(error)}; scistream help s2cs explains the options`));
  }
  return ok(file === undefined ? "no file: options and defaults" : `${file} is read`);
}

// Validates Kubernetes objects, as kubeconform does: types, required fields, and
// no field that the schema does not know.
//
//     node validate.mjs SCHEMAS FILE...
//
// SCHEMAS has a folder for each version of Kubernetes, FILE is a JSON array of
// objects. Objects of prometheus-operator are validated by the functions that
// @kubernetes-models compiled from its Go types. Prints a line for each mistake,
// and exits with 1 if there is one.
//
// First broken objects are validated: if one is accepted, nothing here can be
// believed, and it exits with 2.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import Ajv2020 from "ajv/dist/2020.js";

const OPERATOR = "monitoring.coreos.com/v1";
/** The package exports classes, not what validates: so by file. */
const monitor = async (kind) => {
  const type = `ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1${kind}`;
  return (await import(`./node_modules/@kubernetes-models/prometheus-operator/_schemas/${type}.js`)).validate;
};
const MONITORS = { PodMonitor: await monitor("PodMonitor"), ServiceMonitor: await monitor("ServiceMonitor") };

/** Kubernetes' own kinds, by one version's schemas. */
class Version {
  constructor(folder, name) {
    this.folder = join(folder, name);
    this.name = name.replace(/-local-strict$/, "");
    // Formats say how numbers are stored; `oneOf` of integer and string is a type.
    this.ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
    this.ajv.addSchema(this.read("_definitions.json"));
    this.compiled = new Map();
  }

  read(file) {
    return JSON.parse(readFileSync(join(this.folder, file), "utf8"));
  }

  mistakes(object) {
    const [version, group] = object.apiVersion.split("/").reverse();
    const parts = [object.kind, group?.split(".")[0], version].filter(Boolean);
    const file = `${parts.join("-").toLowerCase()}.json`;
    if (!this.compiled.has(file)) {
      this.compiled.set(file, this.ajv.compile(this.read(file)));
    }
    const validate = this.compiled.get(file);
    if (validate(object)) return [];
    return validate.errors.map(
      ({ instancePath, message, params }) =>
        `${instancePath} ${message} ${params.additionalProperty ?? ""} (Kubernetes ${this.name})`,
    );
  }
}

/**
 * prometheus-operator's kinds. The compiled functions accept unknown fields, but
 * they ask for each field that they know: what they never asked for is unknown.
 */
function monitorMistakes(object) {
  const unknown = new Map();
  const watched = (value, path) => {
    if (value === null || typeof value !== "object") return value;
    const fields = {};
    for (const [key, inner] of Object.entries(value)) {
      const at = `${path}/${key}`;
      unknown.set(at, `${at} is not a field`);
      fields[key] = watched(inner, at);
    }
    const asked = (key) => unknown.delete(`${path}/${String(key)}`);
    return new Proxy(Array.isArray(value) ? Object.assign([], fields) : fields, {
      get: (target, key) => (asked(key), target[key]),
      // A map with any keys is gone through.
      ownKeys: (target) => (Object.keys(target).forEach(asked), Reflect.ownKeys(target)),
    });
  };
  const validate = MONITORS[object.kind];
  validate(watched(object, ""));
  const found = (validate.errors ?? []).map(
    ({ instancePath, keyword, params }) => `${instancePath} ${keyword} ${JSON.stringify(params)}`,
  );
  return [...found, ...unknown.values()].map((text) => `${text} (prometheus-operator)`);
}

function mistakes(versions, object) {
  if (typeof object?.apiVersion !== "string" || typeof object.kind !== "string") {
    return ["no apiVersion or no kind"];
  }
  if (object.apiVersion === OPERATOR) {
    return object.kind in MONITORS ? monitorMistakes(object) : [`unknown kind ${object.kind}`];
  }
  return versions.flatMap((version) => version.mistakes(object));
}

/** Objects with one mistake each, made from a good one of each kind. */
function broken() {
  const labels = { app: "a" };
  const container = { name: "a", image: "a" };
  const daemonSet = (pod, more) => ({
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "a" },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod }, ...more },
  });
  const podMonitor = (endpoint, more) => ({
    apiVersion: OPERATOR,
    kind: "PodMonitor",
    metadata: { name: "a", labels },
    spec: { selector: { matchLabels: labels }, podMetricsEndpoints: [{ port: "metrics", ...endpoint }], ...more },
  });
  const serviceMonitor = (endpoint) => ({
    apiVersion: OPERATOR,
    kind: "ServiceMonitor",
    metadata: { name: "a" },
    spec: { selector: {}, endpoints: [{ port: "metrics", ...endpoint }] },
  });
  const policy = (spec) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "a" },
    spec: { podSelector: {}, ...spec },
  });
  const service = (spec) => ({ apiVersion: "v1", kind: "Service", metadata: { name: "a" }, spec });
  return {
    good: [
      daemonSet({ containers: [container] }),
      podMonitor({ interval: "30s" }),
      serviceMonitor({ scheme: "https" }),
      policy({}),
      service({ clusterIP: "None" }),
    ],
    bad: [
      daemonSet({ containers: [{ ...container, imag: "a" }] }),
      daemonSet({ containers: [container], hostPid: true }),
      daemonSet({ containers: [container], tolerations: {} }),
      daemonSet({ containers: [container] }, { selector: undefined }),
      daemonSet({ containers: [container] }, { replicas: 1 }),
      podMonitor({ portt: "metrics" }),
      podMonitor({ relabelings: [{ sourceLabel: ["a"] }] }),
      podMonitor({ scheme: 1 }),
      podMonitor({ scheme: "gopher" }),
      podMonitor({}, { sampleLimit: "many" }),
      podMonitor({}, { endpoints: [] }),
      podMonitor({ tlsConfig: { ca: { secret: { nam: "a" } } } }),
      serviceMonitor({ basicAuth: { user: {} } }),
      policy({ ingress: [{ form: [] }] }),
      service({ clusterIp: "None" }),
    ],
  };
}

const [folder, ...files] = process.argv.slice(2);
const versions = readdirSync(folder).sort().map((name) => new Version(folder, name));
const { good, bad } = broken();
const believed = (object) => mistakes(versions, JSON.parse(JSON.stringify(object)));
const wrong = [
  ...good.flatMap((object) => believed(object).map((text) => `refused a good ${object.kind}: ${text}`)),
  ...bad.filter((object) => believed(object).length === 0).map((it) => `accepted ${JSON.stringify(it)}`),
];
if (versions.length === 0 || wrong.length > 0) {
  console.error(["the validator does not work:", ...wrong].join("\n  "));
  process.exit(2);
}

let objects = 0;
let failed = false;
for (const file of files) {
  for (const object of JSON.parse(readFileSync(file, "utf8"))) {
    objects += 1;
    for (const text of mistakes(versions, object)) {
      failed = true;
      console.error(`${file}: ${object?.kind} ${object?.metadata?.name}: ${text}`);
    }
  }
}
const names = versions.map(({ name }) => name).join(", ");
console.error(`validated ${objects} objects of ${files.length} renderings by the schemas of Kubernetes ${names}`);
process.exit(failed ? 1 : 0);

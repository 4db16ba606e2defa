/** Routes requests to streams. README.md describes them. */
import { failure, Refusal } from "./answers.js";

export { Stream } from "./stream.js";

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const METHODS = { events: ["POST"], windows: ["GET"], status: ["GET"], partials: ["GET"] };

export default {
  async fetch(request, env) {
    try {
      return await streamOf(request, env).fetch(request);
    } catch (error) {
      return failure(error);
    }
  },
};

/** Checks a request and returns its stream. */
function streamOf(request, env) {
  checkToken(request, env);
  const { pathname } = new URL(request.url);
  const [root, streams, name, resource, sequence, ...rest] = pathname.split("/");
  const methods = sequence === undefined ? METHODS[resource] : resource === "partials" ? ["DELETE"] : undefined;
  if (root !== "" || streams !== "streams" || methods === undefined || rest.length > 0) {
    throw new Refusal(404, "no_such_path", `there is no ${pathname}: use /streams/NAME/events, windows, status or partials`);
  }
  if (!NAME.test(name)) {
    throw new Refusal(400, "invalid_stream_name", "the name of a stream has 1 to 64 letters, digits, '_', '.' and '-'");
  }
  if (!methods.includes(request.method)) {
    const allow = methods.join(", ");
    throw new Refusal(405, "wrong_method", `${pathname} allows ${allow}, not ${request.method}`, { headers: { allow } });
  }
  return env.STREAMS.get(env.STREAMS.idFromName(name));
}

/** Throws unless the request has the token of the worker, if it has one. */
function checkToken(request, env) {
  if (env.TOKEN === undefined) return;
  if (request.headers.get("authorization") === `Bearer ${env.TOKEN}`) return;
  const headers = { "www-authenticate": "Bearer" };
  throw new Refusal(401, "unauthorized", "send the token of this worker: authorization: Bearer TOKEN", { headers });
}

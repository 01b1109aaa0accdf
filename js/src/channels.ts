// What is known of the project's urls: `manage.py wsschema --typescript` adds to `Channels`, and then
// `ws.subscribe(url)`, `ws.live(url)` and `ws.get(url)` know the types of data and events. Types only.

/** By url template, as in `"/orders/{pk}/"`: the data of a GET, and that of each event by its name. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface Channels {}

/** A part of a path: `{pk}` is any part that is not empty, `{rest*}` all that follows. */
type MatchesPart<Part extends string, Template extends string> =
  Template extends `${infer Before}{${string}}${infer After}`
    ? string extends Part
      ? true
      : Part extends `${Before}${infer Value}${After}`
      ? Value extends ""
        ? false
        : true
      : false
    : Part extends Template
      ? true
      : false;

type Matches<Path extends string, Template extends string> =
  Template extends `${infer Before}{${string}*}`
    ? Path extends `${Before}${string}`
      ? true
      : false
    : Template extends `${infer First}/${infer Rest}`
      ? Path extends `${infer Part}/${infer Parts}`
        ? MatchesPart<Part, First> extends true
          ? Matches<Parts, Rest>
          : false
        : false
      : Path extends `${string}/${string}`
        ? false
        : MatchesPart<Path, Template>;

type PathOf<Url extends string> = Url extends `${infer Path}#${string}`
  ? PathOf<Path>
  : Url extends `${infer Path}?${string}`
    ? Path
    : Url;

type TemplateOf<Path extends string> = Path extends keyof Channels
  ? Path
  : { [T in keyof Channels]: T extends string ? (Matches<Path, T> extends true ? T : never) : never }[keyof Channels];

/** What is known of this url; `never` where nothing is, or where the type of the url is just `string`. */
type ChannelOf<Url extends string> = string extends Url ? never : Channels[TemplateOf<PathOf<Url>> & keyof Channels];

type Member<C, Name extends string> = C extends Record<Name, infer Value> ? Value : never;

/** The data of a GET on this url, `Unknown` where it is not declared. */
export type DataOf<Url extends string, Unknown = unknown> =
  [ChannelOf<Url>] extends [never] ? Unknown : Member<ChannelOf<Url>, "data">;

/** The data of the url's events, by their names; `never` where none is declared. */
export type EventsOf<Url extends string> = [keyof Member<ChannelOf<Url>, "events">] extends [never]
  ? never
  : Member<ChannelOf<Url>, "events">;

/** An event of this url: its name tells the type of its data. Any event where none is declared. */
export type EventOf<Url extends string> = [EventsOf<Url>] extends [never]
  ? { event: string; data: unknown; offset?: number }
  : { [Name in keyof EventsOf<Url> & string]: { event: Name; data: EventsOf<Url>[Name]; offset?: number } }[keyof EventsOf<Url> & string];

/** The lists behind `lexicon.ts`: lower-case words, without apostrophes and marks. */

/** Words that carry grammar and little of what is asked for. */
export const FUNCTION_WORDS = `
  a an the this that these those is are was were be been being am do does did doing done have has had having will would
  shall should can could may might must of in on at to for from by with about into over under as and or but if so than
  then there here it its i me my mine myself we us our you your yours he him his she her they them their one ones some
  any all each every such very just also too only own same what which who whom whose when where why how s t re ve ll d m
  please get got isn aren wasn weren don doesn didn won wouldn shouldn couldn hasn haven hadn ain`

/** The `t` of "don't" stands for the negation in it. */
export const NEGATIONS = `
  not no never none nothing nobody nowhere neither nor cannot without t dont doesnt didnt cant wont isnt arent wasnt
  werent shouldnt wouldnt couldnt unable lack lacks lacking hardly`

/** In the order of their numbers, which features hold. */
export const QUESTION_WORDS =
  "what how why which who where when is can do should are does will would did has have could was"

/** "A" says too little to be one of them. Those of 100 and more multiply what stands before them. */
export const NUMBER_WORDS: ReadonlyArray<readonly [word: string, value: number]> = [
  ...[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen"
  ]
    .concat(["fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"])
    .map((word, value) => [word, value] as const),
  ...["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"].map(
    (word, tens) => [word, 10 * tens] as const
  ),
  ...["", "", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"].map(
    (word, value) => [word, value] as const
  ),
  ["hundred", 100],
  ["thousand", 1000],
  ["million", 1e6],
  ["billion", 1e9],
  ["dozen", 12],
  ["twice", 2],
  ["thrice", 3]
].filter((pair): pair is readonly [string, number] => pair[0] !== "")

/** Numbers where they are written in capitals. */
export const ROMAN_NUMERALS: ReadonlyArray<readonly [word: string, value: number]> = [
  ["ii", 2],
  ["iii", 3],
  ["iv", 4],
  ["vi", 6],
  ["vii", 7],
  ["viii", 8],
  ["ix", 9],
  ["xi", 11],
  ["xii", 12]
]

/** One unit a line, under all its names. */
export const UNITS = [
  "second seconds sec secs s",
  "minute minutes min mins",
  "hour hours hr hrs h",
  "day days",
  "week weeks wk",
  "month months",
  "year years yr yrs",
  "decade decades",
  "century centuries",
  "ms millisecond milliseconds msec",
  "us microsecond microseconds",
  "ns nanosecond nanoseconds",
  "mm millimetre millimetres millimeter millimeters",
  "cm centimetre centimetres centimeter centimeters",
  "m metre metres meter meters",
  "km kilometre kilometres kilometer kilometers kms",
  "inch inches",
  "foot feet ft",
  "yard yards yd",
  "mile miles mi",
  "nm nanometre nanometres nanometer nanometers",
  "acre acres",
  "hectare hectares ha",
  "sqft",
  "mg milligram milligrams",
  "g gram grams gramme grammes",
  "kg kilogram kilograms kilo kilos kgs",
  "ton tons tonne tonnes t",
  "pound pounds lb lbs quid gbp",
  "ounce ounces oz",
  "stone",
  "ml millilitre millilitres milliliter milliliters",
  "cl centilitre centiliter",
  "l litre litres liter liters",
  "gallon gallons gal",
  "pint pints",
  "cup cups",
  "tablespoon tablespoons tbsp",
  "teaspoon teaspoons tsp",
  "celsius c centigrade",
  "fahrenheit f",
  "kelvin k",
  "mph",
  "kmh kph",
  "knot knots",
  "kb kilobyte kilobytes",
  "mb megabyte megabytes",
  "gb gigabyte gigabytes gig gigs",
  "tb terabyte terabytes",
  "pb petabyte petabytes",
  "bit bits",
  "byte bytes",
  "mbps",
  "gbps",
  "hz hertz",
  "khz kilohertz",
  "mhz megahertz",
  "ghz gigahertz",
  "v volt volts",
  "w watt watts",
  "amp amps ampere amperes",
  "mah",
  "kw kilowatt kilowatts",
  "kwh",
  "mw megawatt megawatts",
  "ohm ohms",
  "dollar dollars usd bucks",
  "cent cents",
  "euro euros eur",
  "yen jpy",
  "yuan rmb cny",
  "rupee rupees rs inr",
  "peso pesos",
  "franc francs chf",
  "ruble rubles rouble roubles rub",
  "won krw",
  "lakh lakhs",
  "crore crores",
  "percent percentage",
  "pixel pixels px",
  "calorie calories kcal cal",
  "joule joules",
  "bar",
  "psi",
  "astronomical au",
  "parsec parsecs"
]

/** Units whose names mean something else unless they stand right behind a number, as single letters do too. */
export const NUMBERED_UNITS =
  "bar bit bits stone foot yard won rs us mi ha au ton tons sec min mins gal second stones cal am pm"

/** What together with a unit of time names a point in time: "last year". */
export const RELATIVE = "last this next past previous coming"

/** Before a lone I that is a number. */
export const NUMBERED_BY_ROMANS = "war part chapter type phase volume level stage act"

/** One name a line, under all its forms that share no letters. */
export const ALIASES = [
  "us usa u america american americans states",
  "uk britain british kingdom england english",
  "russia russian soviet ussr",
  "nyc york",
  "la angeles",
  "uae emirates",
  "eu european europe",
  "js javascript",
  "ts typescript",
  "postgres postgresql",
  "k8s kubernetes",
  "vw volkswagen",
  "fb facebook",
  "ai artificial"
]

/** One point in time a line: days, months, seasons, holidays and times of day. */
export const DATES = [
  "monday mondays mon",
  "tuesday tuesdays tue tues",
  "wednesday wednesdays wed",
  "thursday thursdays thu thur thurs",
  "friday fridays fri",
  "saturday saturdays",
  "sunday sundays",
  "january jan",
  "february feb",
  "march",
  "april apr",
  "june jun",
  "july jul",
  "august aug",
  "september sep sept",
  "october oct",
  "november nov",
  "december dec",
  "spring",
  "summer",
  "autumn",
  "winter",
  "today",
  "tonight",
  "tomorrow",
  "yesterday",
  "christmas xmas",
  "easter",
  "thanksgiving",
  "halloween",
  "ramadan",
  "diwali",
  "hanukkah",
  "breakfast",
  "lunch",
  "dinner supper",
  "am",
  "pm",
  "morning mornings",
  "noon midday",
  "afternoon afternoons",
  "evening evenings",
  "midnight",
  "weekday weekdays",
  "weekend weekends"
]

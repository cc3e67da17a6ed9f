// An instant, and what can be read from it without a clock or a time zone database.

const MICROS_MIN = -(2n ** 63n);
const MICROS_MAX = 2n ** 63n - 1n;
const PER_MILLI = 1_000n;
const PER_SECOND = 1_000_000n;
const PER_DAY = 86_400_000_000n;

/** Rounds towards the past, as every method here does. */
function floorDivide(value, unit) {
  const quotient = value / unit;
  return value % unit < 0n ? quotient - 1n : quotient;
}

function saturated(micros) {
  return micros < MICROS_MIN ? MICROS_MIN : micros > MICROS_MAX ? MICROS_MAX : micros;
}

/**
 * Days since 1970-01-01 of a day, and back: `days_from_civil` and `civil_from_days` of Howard Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms". Years begin in March there, so that the leap day is the last of a year; an era has 400 years.
 */
function daysFromCivil(year, month, day) {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civilFromDays(days) {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  };
}

const digits = (value, width) => String(value).padStart(width, "0");

/** Microseconds since 1970-01-01T00:00:00Z, in UTC. There is no `now`: the instant for which a value is asked is the input `as_of`. */
export class Timestamp {
  /** Of microseconds since 1970, a bigint. */
  constructor(micros) {
    if (typeof micros !== "bigint" || micros < MICROS_MIN || micros > MICROS_MAX) {
      throw new RangeError("a Timestamp has a bigint of microseconds that fits 64 bits");
    }
    this.micros = micros;
  }

  static fromMicros(micros) {
    return new Timestamp(saturated(BigInt(micros)));
  }

  static fromMillis(millis) {
    return new Timestamp(saturated(BigInt(millis) * PER_MILLI));
  }

  static fromSeconds(seconds) {
    return new Timestamp(saturated(BigInt(seconds) * PER_SECOND));
  }

  static fromDate(date) {
    return Timestamp.fromMillis(date.getTime());
  }

  /** Of RFC 3339 in UTC, `2026-01-15T13:00:00Z`, with up to six digits of a second. */
  static parse(text) {
    const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z$/.exec(text);
    const [year, month, day, hour, minute, second] = (found ?? []).slice(1, 7).map(Number);
    const days = found === null ? 0 : daysFromCivil(year, month, day);
    const date = civilFromDays(days);
    if (found === null || date.month !== month || date.day !== day || hour > 23 || minute > 59 || second > 59) {
      throw new RangeError(`${JSON.stringify(text)} is no instant such as "2026-01-15T13:00:00Z"`);
    }
    const seconds = BigInt(days) * 86_400n + BigInt(hour * 3600 + minute * 60 + second);
    return new Timestamp(seconds * PER_SECOND + BigInt((found[7] ?? "").padEnd(6, "0")));
  }

  /** Whole milliseconds since 1970. */
  get millis() {
    return Number(floorDivide(this.micros, PER_MILLI));
  }

  /** Whole seconds since 1970. */
  get seconds() {
    return Number(floorDivide(this.micros, PER_SECOND));
  }

  /** Whole days since 1970-01-01. */
  get days() {
    return Number(floorDivide(this.micros, PER_DAY));
  }

  /** Microseconds since midnight (UTC). */
  get microsOfDay() {
    return Number(this.micros - floorDivide(this.micros, PER_DAY) * PER_DAY);
  }

  /** Seconds since midnight (UTC), 0 to 86,399. */
  get secondOfDay() {
    return Math.floor(this.microsOfDay / 1_000_000);
  }

  /** Hour of the day (UTC), 0 to 23. */
  get hourOfDay() {
    return Math.floor(this.secondOfDay / 3_600);
  }

  /** Minute of the hour, 0 to 59. */
  get minuteOfHour() {
    return Math.floor(this.secondOfDay / 60) % 60;
  }

  /** Second of the minute, 0 to 59. */
  get secondOfMinute() {
    return this.secondOfDay % 60;
  }

  /** Day of the week (UTC) as ISO 8601 counts: 1 is Monday, 7 is Sunday. */
  get dayOfWeek() {
    return ((((this.days + 3) % 7) + 7) % 7) + 1; // 1970-01-01 was a Thursday
  }

  /** The day (UTC): year, month 1 to 12, day 1 to 31. */
  get date() {
    return civilFromDays(this.days);
  }

  /** Midnight (UTC) of the same day; in the first, cut-off day of the range, the earliest instant. */
  startOfDay() {
    return new Timestamp(saturated(floorDivide(this.micros, PER_DAY) * PER_DAY));
  }

  /** Microseconds from `earlier` to this instant, a bigint, negative if it is later. */
  microsSince(earlier) {
    return this.micros - earlier.micros;
  }

  /** Whole milliseconds from `earlier` to this instant, rounded down; beyond 2^53 the nearest number. */
  millisSince(earlier) {
    return Number(floorDivide(this.micros - earlier.micros, PER_MILLI));
  }

  /** Whole seconds from `earlier` to this instant, rounded down. */
  secondsSince(earlier) {
    return Number(floorDivide(this.micros - earlier.micros, PER_SECOND));
  }

  /** Whole days of 86,400 seconds from `earlier` to this instant, rounded down. */
  daysSince(earlier) {
    return Number(floorDivide(this.micros - earlier.micros, PER_DAY));
  }

  /** This much later, or earlier if negative; at the ends of the range it stays there. */
  addMicros(micros) {
    return new Timestamp(saturated(this.micros + BigInt(micros)));
  }

  /** This much later, or earlier if negative; at the ends of the range it stays there. */
  addSeconds(seconds) {
    return this.addMicros(BigInt(seconds) * PER_SECOND);
  }

  /** Microseconds compare as instants do: `a < b`. */
  valueOf() {
    return this.micros;
  }

  /** A Date, which has milliseconds. */
  toDate() {
    return new Date(this.millis);
  }

  /** RFC 3339: `2024-02-29T12:00:00Z`, with six digits of a second where they are not zero. */
  toString() {
    const { year, month, day } = this.date;
    const shownYear = year < 0 ? `-${digits(-year, 3)}` : digits(year, 4);
    const micros = this.microsOfDay % 1_000_000;
    const fraction = micros === 0 ? "" : `.${digits(micros, 6)}`;
    const time = `${digits(this.hourOfDay, 2)}:${digits(this.minuteOfHour, 2)}:${digits(this.secondOfMinute, 2)}`;
    return `${shownYear}-${digits(month, 2)}-${digits(day, 2)}T${time}${fraction}Z`;
  }

  toJSON() {
    return this.toString();
  }
}

#pragma once

#include <cstdint>

#include "text/jinja/arguments.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

// format % arguments: %s %r %d %i %f %e %g %x %X %o %c %% with flags, width, precision and
// %(name)s. arguments: a tuple, a mapping, or the one value.
Text FormatPercent(Runtime& runtime, const Text& format, const Value& arguments);

// format.format(...): {}, {0}, {name}, {0.attribute[key]}, !s and !r, and a specification of fill,
// alignment, sign, 0, width, comma, precision and type.
Text FormatBraces(Runtime& runtime, const Text& format, const Arguments& arguments);

// round() of a float: the nearest with so many decimals, ties by the exact binary value.
double RoundTo(double value, int64_t decimals);

}  // namespace fathom::jinja

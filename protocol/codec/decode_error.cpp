#include "protocol/codec/decode_error.hpp"

#include "protocol/base/assert.hpp"

namespace spoke::mqtt {

void throw_exception_from_error(DecodeError const&, boost::source_location const& where) {
    assertion_failed("value() of a failed decode", where.file_name(),
                     static_cast<int>(where.line()));
}

}  // namespace spoke::mqtt

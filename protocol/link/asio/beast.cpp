// The one translation unit that holds the compiled parts of Boost.Beast
// (BOOST_BEAST_SEPARATE_COMPILATION).
#include <boost/beast/src.hpp>

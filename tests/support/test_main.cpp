// The main of every Boost.Test program of volcrypt. Nothing else lives here: fixtures are in files of their own.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE volcrypt
#include <boost/test/unit_test.hpp>

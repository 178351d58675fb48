// Router: which handler answers a method and a path. Routes are literal segments and {names}; the order of adding does
// not matter, because a literal wins over a name. It calls handlers and knows nothing of sockets. Built once, then read
// by the loop only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "agent/http/message.hpp"

namespace volcrypt::http {

namespace asio = boost::asio;

using Handler = std::function<asio::awaitable<Response>(Request)>;

struct RouteName {
  Method method = Method::get;
  std::string pattern;  // "/v1/volumes/{name}/attach"
  auto operator<=>(const RouteName&) const = default;
};

class Router {
 public:
  // Throws std::logic_error when the same method and pattern, names aside, was added before: a mistake in the program.
  void add(Method method, std::string pattern, Handler handler);

  // Finds the route for `target` ("/v1/volumes/data1?x=y"), fills request.path, query and path_values and returns its
  // handler. An empty handler means 404 or 405: `allowed` then lists the methods that exist for this path (405 if any).
  struct Match {
    Handler handler;
    std::string pattern;
    std::string allowed;  // "GET, PUT"
  };
  Match match(Request& request, std::string_view target) const;

  std::vector<RouteName> routes() const;

 private:
  struct Route {
    RouteName name;
    std::vector<std::string> segments;
    Handler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace volcrypt::http

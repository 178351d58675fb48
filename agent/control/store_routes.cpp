// Handlers of the store's place.
#include "agent/control/documents.hpp"
#include "agent/control/routes.hpp"

namespace volcrypt::control {

asio::awaitable<http::Response> Routes::get_store(http::Request request) {
  expect_plain(request);
  const std::string failure = co_await services_.store_failure();
  co_return answer(render(services_.store(), failure));
}

asio::awaitable<http::Response> Routes::put_store(http::Request request) {
  expect_no_query(request);
  StoreRequest wanted = parse_store_request(body_of(request));
  const bool changed = co_await services_.choose_store(std::move(wanted));
  co_return answer(json::object{{"changed", changed}}, changed ? 202 : 200);
}

}  // namespace volcrypt::control

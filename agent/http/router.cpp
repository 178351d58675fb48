// Matching of methods and paths to routes. A linear search: there are about thirty routes.
#include "agent/http/router.hpp"

#include <algorithm>
#include <stdexcept>

namespace volcrypt::http {

namespace {

bool is_name(const std::string& segment) { return segment.size() > 2 && segment.front() == '{'; }

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (is_name(pattern[i]) ? path[i].empty() : pattern[i] != path[i]) return false;
  }
  return true;
}

std::size_t literals(const std::vector<std::string>& pattern) {
  return pattern.size() - static_cast<std::size_t>(std::count_if(pattern.begin(), pattern.end(), is_name));
}

// Names do not tell routes apart: /v1/{a} and /v1/{b} are the same path.
bool same_shape(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const std::string& x, const std::string& y) {
    return is_name(x) == is_name(y) && (is_name(x) || x == y);
  });
}

}  // namespace

void Router::add(Method method, std::string pattern, Handler handler) {
  std::vector<std::string> segments = parse_target(pattern).segments;
  for (const auto& route : routes_) {
    if (route.name.method == method && same_shape(route.segments, segments)) {
      throw std::logic_error("route added twice: " + pattern);
    }
  }
  routes_.push_back({{method, std::move(pattern)}, std::move(segments), std::move(handler)});
}

Router::Match Router::match(Request& request, std::string_view target) const {
  Target parsed = parse_target(target);
  const Route* best = nullptr;
  Match result;
  for (const auto& route : routes_) {
    if (!fits(route.segments, parsed.segments)) continue;
    if (!result.allowed.empty()) result.allowed += ", ";
    result.allowed += to_text(route.name.method);
    if (route.name.method == request.method && (!best || literals(route.segments) > literals(best->segments))) {
      best = &route;
    }
  }
  for (const auto& segment : parsed.segments) request.path += "/" + segment;
  request.query = std::move(parsed.query);
  if (!best) return result;
  for (std::size_t i = 0; i < best->segments.size(); ++i) {
    const auto& name = best->segments[i];
    if (is_name(name)) request.path_values.emplace(name.substr(1, name.size() - 2), parsed.segments[i]);
  }
  result.handler = best->handler;
  result.pattern = best->name.pattern;
  return result;
}

std::vector<RouteName> Router::routes() const {
  std::vector<RouteName> names;
  for (const auto& route : routes_) names.push_back(route.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace volcrypt::http

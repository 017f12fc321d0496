// The Go SDK (nacos-sdk-go, either generation) behind JSON lines: see conftest.py. What is not the same in both is in v1.go and
// v2.go; for 1.x the /v2 of the imports is left out. Of the environment: ENDPOINT, host:port, stands for the list of servers,
// and NACOS_USER is somebody with a password.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

type request struct {
	Id        int               `json:"id"`
	Do        string            `json:"do"`
	Service   string            `json:"service"`
	Group     string            `json:"group"`
	Ip        string            `json:"ip"`
	Port      uint64            `json:"port"`
	Weight    *float64          `json:"weight"`
	Metadata  map[string]string `json:"metadata"`
	Cluster   string            `json:"cluster"`
	Ephemeral *bool             `json:"ephemeral"`
	Hosts     [][]interface{}   `json:"hosts"`
	Clusters  []string          `json:"clusters"`
	Healthy   *bool             `json:"healthy"`
	Page      uint32            `json:"page"`
	Size      uint32            `json:"size"`
	Name      string            `json:"name"`
}

var param vo.NacosClientParam
var out sync.Mutex

func say(what map[string]interface{}) {
	text, _ := json.Marshal(what)
	out.Lock()
	fmt.Println(string(text))
	out.Unlock()
}

func host(ip string, port uint64, weight float64, healthy bool, metadata map[string]string) interface{} {
	return []interface{}{ip, port, weight, healthy, metadata}
}

func hosts(list []model.Instance) []interface{} {
	told := []interface{}{}
	for _, i := range list {
		told = append(told, host(i.Ip, i.Port, i.Weight, i.Healthy, i.Metadata))
	}
	return told
}

func (r *request) weight() float64 {
	if r.Weight == nil {
		return 1
	}
	return *r.Weight
}

func (r *request) ephemeral() bool { return r.Ephemeral == nil || *r.Ephemeral }

func (r *request) instance() vo.RegisterInstanceParam {
	return vo.RegisterInstanceParam{ServiceName: r.Service, GroupName: r.Group, Ip: r.Ip, Port: r.Port, Weight: r.weight(),
		Enable: true, Healthy: true, Ephemeral: r.ephemeral(), Metadata: r.Metadata, ClusterName: r.Cluster}
}

var subscriptions = map[string]*vo.SubscribeParam{}

func subscription(r *request) *vo.SubscribeParam {
	if s := subscriptions[r.Service]; s != nil {
		return s
	}
	name := r.Service
	s := &vo.SubscribeParam{ServiceName: name, GroupName: r.Group, Clusters: r.Clusters, SubscribeCallback: func(list []pushed, err error) {
		told := []interface{}{}
		for _, i := range list {
			told = append(told, host(i.Ip, i.Port, i.Weight, i.Healthy, i.Metadata))
		}
		say(map[string]interface{}{"push": name, "hosts": told})
	}}
	subscriptions[name] = s
	return s
}

func run(c naming_client.INamingClient, r *request) (interface{}, error) {
	switch r.Do {
	case "register":
		return c.RegisterInstance(r.instance())
	case "deregister":
		return c.DeregisterInstance(vo.DeregisterInstanceParam{ServiceName: r.Service, GroupName: r.Group, Ip: r.Ip,
			Port: r.Port, Cluster: r.Cluster, Ephemeral: r.ephemeral()})
	case "list":
		list, err := c.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: r.Service, GroupName: r.Group, Clusters: r.Clusters})
		return hosts(list), err
	case "select":
		list, err := c.SelectInstances(vo.SelectInstancesParam{ServiceName: r.Service, GroupName: r.Group, Clusters: r.Clusters,
			HealthyOnly: r.Healthy == nil || *r.Healthy})
		return hosts(list), err
	case "one":
		one, err := c.SelectOneHealthyInstance(vo.SelectOneHealthInstanceParam{ServiceName: r.Service, GroupName: r.Group,
			Clusters: r.Clusters})
		if err != nil {
			return nil, err
		}
		return hosts([]model.Instance{*one}), nil
	case "services":
		l, err := c.GetAllServicesInfo(vo.GetAllServiceInfoParam{GroupName: r.Group, PageNo: r.Page, PageSize: r.Size})
		return []interface{}{l.Count, l.Doms}, err
	case "subscribe":
		return nil, c.Subscribe(subscription(r))
	case "unsubscribe":
		return nil, c.Unsubscribe(subscription(r))
	}
	return more(c, r)
}

func main() {
	dir := os.Args[3]
	param.ClientConfig = constant.NewClientConfig(constant.WithNamespaceId(os.Args[2]), constant.WithNotLoadCacheAtStart(true),
		constant.WithUpdateCacheWhenEmpty(true), constant.WithLogDir(dir), constant.WithCacheDir(dir), constant.WithEndpoint(os.Getenv("ENDPOINT")))
	if user := os.Getenv("NACOS_USER"); user != "" {
		param.ClientConfig.Username, param.ClientConfig.Password = user, "secret"
	}
	if os.Getenv("ENDPOINT") == "" {
		host, port, _ := net.SplitHostPort(os.Args[1])
		number, _ := strconv.ParseUint(port, 10, 16)
		param.ServerConfigs = []constant.ServerConfig{*constant.NewServerConfig(host, number)}
	}
	client, err := clients.NewNamingClient(param)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	say(map[string]interface{}{"ready": true})
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		r := &request{Group: "DEFAULT_GROUP", Cluster: "DEFAULT"}
		if err := json.Unmarshal(in.Bytes(), r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		value, err := run(client, r)
		if err != nil {
			say(map[string]interface{}{"id": r.Id, "ok": false, "error": err.Error()})
		} else {
			say(map[string]interface{}{"id": r.Id, "ok": true, "value": value})
		}
		if r.Do == "close" {
			return
		}
	}
}
